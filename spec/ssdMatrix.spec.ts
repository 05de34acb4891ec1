import { describeLaws } from './support.ts';

describeLaws('ssdMatrix');
