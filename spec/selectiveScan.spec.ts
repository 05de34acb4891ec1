import { describeLaws } from './support.ts';

describeLaws('selectiveScan');
