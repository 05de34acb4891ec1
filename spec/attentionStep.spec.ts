import { describeLaws } from './support.ts';

describeLaws('attentionStep');
