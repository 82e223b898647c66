import { PATHS } from '../host/paths.ts';
import type { BootMachine, BootPlan, BootStrategy } from './boot-strategy.ts';
import { DAEMON_RELOAD } from './drop-in.ts';
import { besideNftables, NFTABLES_DROP_IN } from './nftables-service.ts';

/**
 * Plans a strategy and, where systemd starts services, the drop-in that keeps nftables.service from
 * opening a machine that boots locked.
 * @throws KillswitchError NO_BOOT when the strategy cannot load this machine's rules.
 */
export function planBoot(strategy: BootStrategy, machine: BootMachine): BootPlan {
  const plan = strategy.plan(machine);
  const own = strategy.name === 'systemd';
  const beside = own || machine.exists(PATHS.systemd) ? besideNftables(machine) : 'none';
  if (beside === 'none') return plan;
  if (beside === 'unknown')
    return {
      ...plan,
      notes: [
        ...plan.notes,
        'nftables.service has commands of its own here: each start, reload and stop of it opens until "lock".',
      ],
    };
  const notes = [
    ...plan.notes,
    'nftables.service loads the base rules together with its own while this machine is locked: it opens nothing then.',
  ];
  if (!machine.locked) return { ...plan, notes };
  return {
    ...plan,
    files: [...plan.files, { path: NFTABLES_DROP_IN, text: beside.text, mode: 0o644 }],
    commands: own ? plan.commands : [...plan.commands, DAEMON_RELOAD],
    notes,
  };
}
