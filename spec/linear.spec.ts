import { describeLaws } from './support.ts';

describeLaws('linear');
