import { describeLaws } from './support.ts';

describeLaws('ssdStep');
