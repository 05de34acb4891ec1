import { describeLaws } from './support.ts';

describeLaws('gatedRmsNorm');
