import { describeLaws } from './support.ts';

describeLaws('causalConv1d');
