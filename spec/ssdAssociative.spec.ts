import { describeLaws } from './support.ts';

describeLaws('ssdAssociative');
