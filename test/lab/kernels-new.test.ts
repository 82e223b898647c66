import { kernelsWith } from './kernels.ts';

kernelsWith(['kernel-7.3']);
