import { connect } from 'node:net';
import type { Sandbox } from '../../src/host/sandbox.ts';
import { FOLDER } from '../../src/proof/addresses.ts';

const SOCKET = `${FOLDER}/management`;

/** The line for a server that can be told things while it runs. */
export const MANAGEMENT = `management ${SOCKET} unix`;

/**
 * Gives a running OpenVPN one command and returns what it answers (openvpn,
 * doc/management-notes.txt).
 * @throws Error with the answer when that is an error.
 */
export function tell(sandbox: Sandbox, command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(`/proc/${sandbox.pid}/root${SOCKET}`);
    let text = '';
    socket.setTimeout(5000, () => socket.destroy(new Error(`no answer to ${command}: ${text}`)));
    socket.once('connect', () => socket.write(`${command}\n`));
    socket.once('error', reject);
    socket.on('data', (chunk) => {
      text += String(chunk);
      const [end] = /^(SUCCESS|ERROR|END)\b.*$/m.exec(text) ?? [];
      if (end === undefined) return;
      socket.end('quit\n');
      if (end.startsWith('ERROR')) reject(new Error(`${command}: ${end}`));
      else resolve(text);
    });
  });
}

/** The number by which the server knows its only client. */
export async function clientNumber(sandbox: Sandbox): Promise<number> {
  const lines = (await tell(sandbox, 'status 2')).split(/\r?\n/).map((line) => line.split(','));
  const titles =
    lines.find(([kind, of]) => kind === 'HEADER' && of === 'CLIENT_LIST')?.slice(1) ?? [];
  const clients = lines.filter(([kind]) => kind === 'CLIENT_LIST');
  const number = Number(clients[0]?.[titles.indexOf('Client ID')]);
  if (clients.length !== 1 || !Number.isInteger(number))
    throw new Error(`the server has ${clients.length} clients`);
  return number;
}
