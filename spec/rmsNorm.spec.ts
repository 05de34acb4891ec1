import { describeLaws } from './support.ts';

describeLaws('rmsNorm');
