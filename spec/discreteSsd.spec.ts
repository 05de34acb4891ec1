import { describeLaws } from './support.ts';

describeLaws('discreteSsd');
