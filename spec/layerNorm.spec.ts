import { describeLaws } from './support.ts';

describeLaws('layerNorm');
