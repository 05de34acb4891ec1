import { describeLaws } from './support.ts';

describeLaws('ssd');
