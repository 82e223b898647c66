import { specifyPrivileges } from './privileges.ts';

specifyPrivileges({ version: '2.7', backend: 'nftables' });
