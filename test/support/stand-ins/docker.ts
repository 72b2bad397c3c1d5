import { openStandIn, type StandIn } from './stand-in.js';

export const standIn = (): Promise<StandIn> => openStandIn('docker');
