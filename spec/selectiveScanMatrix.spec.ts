import { describeLaws } from './support.ts';

describeLaws('selectiveScanMatrix');
