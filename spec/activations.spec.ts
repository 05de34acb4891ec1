import { describeLaws } from './support.ts';

describeLaws('silu', 'sigmoid', 'softplus', 'softmax', 'logSoftmax');
