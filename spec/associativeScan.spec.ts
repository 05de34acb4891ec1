import { describeLaws } from './support.ts';

describeLaws('associativeScan');
