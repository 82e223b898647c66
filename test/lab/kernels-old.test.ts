import { kernelsWith } from './kernels.ts';

kernelsWith(['kernel-5.10', 'kernel-6.1', 'kernel-6.12']);
