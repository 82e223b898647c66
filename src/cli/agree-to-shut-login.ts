import { KillswitchError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { loadSettings } from '../machine/load-settings.ts';
import { saidSession } from '../machine/own-ssh-session.ts';
import { readLockRecord } from '../record/lock-record.ts';
import { settingsInForce } from '../record/settings-in-force.ts';
import { type ShutLogin, shutLogin } from '../view/next-login.ts';
import { shutLoginLines, shutLoginText } from '../view/shut-login-text.ts';
import type { Context } from './command.ts';
import { parseDuration } from './duration.ts';

const QUESTION = 'Lock all the same? Type "yes", or a time such as 60s or 5m to lock on trial: ';

/** Tells whether the lock in force already drops the same login: then nothing gets worse. */
function isShutNow(host: Host): boolean {
  const record = readLockRecord(host);
  return record?.locked === true && shutLogin(host, settingsInForce(host, record)) !== undefined;
}

function refused(shut: ShutLogin, why: string): KillswitchError {
  return new KillswitchError(
    'NO_LOGIN',
    `${why}: ${shutLoginText(shut)}`,
    'Run "ovpn-killswitch lock --confirm 120": it reverts unless you log in again and run "ovpn-killswitch confirm". With "--yes" it locks all the same.',
    shutLoginLines(shut),
  );
}

/**
 * Warns before a lock that drops every new SSH login. Over SSH it asks whether to lock all the
 * same, unless the caller has agreed by a flag, or the lock in force is as strict already.
 * @returns the seconds of a lock on trial, where the answer named a time
 * @throws KillswitchError NO_LOGIN without a terminal, and when the answer is no
 */
export async function agreeToShutLogin(
  { host, print, ask }: Pick<Context, 'host' | 'print' | 'ask'>,
  agreed: boolean,
): Promise<number | undefined> {
  const shut = shutLogin(host, loadSettings(host));
  if (shut === undefined) return undefined;
  const asks = !agreed && saidSession(host) !== undefined && !isShutNow(host);
  const warn = () => {
    print(`WARNING: ${shutLoginText(shut)}.`);
    for (const line of shutLoginLines(shut)) print(`  ${line}`);
  };
  if (!asks) {
    warn();
    return undefined;
  }
  if (!ask.isThere()) throw refused(shut, 'there is no terminal to ask on');
  warn();
  const answer = (await ask.question(QUESTION)).trim();
  if (answer === 'yes') return undefined;
  const seconds = parseDuration(answer);
  if (seconds === undefined) throw refused(shut, 'the answer was no');
  return seconds;
}
