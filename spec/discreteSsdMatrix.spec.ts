import { describeLaws } from './support.ts';

describeLaws('discreteSsdMatrix');
