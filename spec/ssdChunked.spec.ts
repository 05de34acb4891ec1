import { describeLaws } from './support.ts';

describeLaws('ssdChunked');
