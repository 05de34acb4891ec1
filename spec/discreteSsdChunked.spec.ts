import { describeLaws } from './support.ts';

describeLaws('discreteSsdChunked');
