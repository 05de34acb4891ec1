import { describeLaws } from './support.ts';

describeLaws('discreteSsdStep');
