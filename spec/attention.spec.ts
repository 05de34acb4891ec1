import { describeLaws } from './support.ts';

describeLaws('attention');
