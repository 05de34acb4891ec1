import { describeLaws } from './support.ts';

describeLaws('selectiveScanAssociative');
