import { describeLaws } from './support.ts';

describeLaws('selectiveScanStep');
