import { describeLaws } from './support.ts';

describeLaws('rope');
