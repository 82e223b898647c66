import { resolve } from 'node:path';
import { EXIT } from '../errors.ts';
import { markerDamage } from '../net/marked-block.ts';
import { attachedProfiles, forgetAttached } from '../record/attached-profiles.ts';
import { forgetRemembered } from '../record/remembered-networks.ts';
import { followForgotten, unlearnProfiles } from '../transaction/refresh.ts';
import { detach as detachText } from '../tunnel/attachment.ts';
import { CONNECTIONS, detachConnections, FILES } from './attach-connections.ts';
import type { CliCommand, Flags } from './command.ts';
import { JSON_FLAG } from './json-flag.ts';
import { parseArguments } from './parse-arguments.ts';
import { forgetOriginal, needRoot, planProfiles, writeProfiles } from './rewrite-profiles.ts';
import { unifiedDiff } from './unified-diff.ts';

const FLAGS = {
  'dry-run': { type: 'boolean', what: 'show the change and write nothing' },
  networkmanager: {
    type: 'string',
    multiple: true,
    value: 'NAME',
    what: "a connection of NetworkManager's in place of a file",
  },
  json: JSON_FLAG,
} as const satisfies Flags;

export const detach: CliCommand = {
  name: 'detach',
  usage: 'detach FILE… | --networkmanager NAME [--dry-run] [--json]',
  group: 'setup',
  brief: 'remove the lines of attach',
  summary: 'Remove the lines of attach from profiles. Every other byte stays.',
  flags: FLAGS,
  words: [{ name: 'FILE', what: 'an OpenVPN profile', isFile: true }],
  examples: [
    ['detach /etc/openvpn/client/my-vpn.conf', 'after that OpenVPN calls no hook of ours'],
    ['detach --dry-run my-vpn.ovpn', 'shows the change and writes nothing'],
    ['detach --networkmanager "My VPN"', 'restores the previous resolver order of the connection'],
  ],
  needsRoot: false,
  run: (context) => {
    const { host, args, print, printExactly, report } = context;
    const words = args.some((each) => each.startsWith('--networkmanager')) ? CONNECTIONS : FILES;
    const { values, positionals } = parseArguments(detach, args, FLAGS, words);
    const dryRun = values['dry-run'] === true;
    if (values.networkmanager !== undefined) {
      needRoot(host, 'detach');
      detachConnections(context, values.networkmanager, dryRun);
      if (!dryRun) followForgotten(host);
      return EXIT.ok;
    }
    const attached = attachedProfiles(host);
    // A profile that is gone has no lines to remove; the record of it goes all the same.
    const gone = positionals
      .map((file) => resolve(file))
      .filter((path) => attached.includes(path) && !host.exists(path));
    const there = positionals.filter((file) => !gone.includes(resolve(file)));
    const changes = planProfiles(host.readUntrusted, there, (text) => {
      const damage = markerDamage(text);
      return damage === undefined
        ? { text: detachText(text) }
        : { problems: [`${damage}: remove that line by hand`] };
    });
    if (!dryRun) {
      needRoot(host, 'detach');
      writeProfiles(
        host,
        changes.filter(({ before, after }) => before !== after),
      );
    }
    for (const change of changes) {
      const { path, before, after } = change;
      if (before === after) {
        print(`${dryRun ? '# ' : ''}${path}: holds no lines of ours`);
        continue;
      }
      if (dryRun) {
        for (const line of unifiedDiff(path, before, after)) printExactly(line);
        report.plan({ kind: 'file', what: path, how: 'changed' });
      } else forgetOriginal(host, change);
      print(dryRun ? `# ${path}: would be detached` : `${path}: detached`);
    }
    for (const path of gone)
      print(
        dryRun ? `# ${path}: is gone, and would be forgotten` : `${path}: is gone, and forgotten`,
      );
    if (!dryRun) {
      const paths = [...changes.map(({ path }) => path), ...gone];
      for (const path of paths) forgetRemembered(host, { profile: host.place(path) ?? path });
      for (const path of paths) forgetRemembered(host, { profile: path });
      forgetAttached(host, paths);
      unlearnProfiles(host);
    }
    return EXIT.ok;
  },
};
