import { describeLaws } from './support.ts';

describeLaws('selectiveScanChunked');
