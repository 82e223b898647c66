import { describe, expect, test } from 'vitest';
import { BACKENDS, useMachine } from '../hooks/installed-machine.ts';

describe.each(BACKENDS)('with %s', (backend) => {
  const machine = useMachine();
  const CLIENT = '/etc/openvpn/client';

  test.each(['lock', 'status'])('%s takes less than 10 s with a FIFO as a profile', (command) => {
    machine().settings(
      `KILLSWITCH_BACKEND=${backend}`,
      'KILLSWITCH_ENDPOINTS=203.0.113.10:1194/udp',
    );
    machine().sh(`mkdir -p ${CLIENT}; rm -f ${CLIENT}/fifo.conf; mkfifo ${CLIENT}/fifo.conf`);
    const { status, stdout, stderr } = machine().run(
      'timeout',
      '-s',
      'KILL',
      '10',
      '/usr/local/sbin/ovpn-killswitch',
      command,
    );
    expect([0, 1, 2], stdout + stderr).toContain(status);
    if (command === 'lock') expect(stdout + stderr).toContain('fifo.conf was not read');
  });
});
