import { specifyPrivileges } from './privileges.ts';

specifyPrivileges({ version: '2.6', backend: 'iptables' });
