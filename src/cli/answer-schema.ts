import { ERRORS, type ErrorCode, EXIT, type ExitStatus } from '../errors.ts';
import { CHANGE_HOWS } from '../host/change.ts';
import { CHANGE_KINDS } from '../host/command.ts';

/** The part of JSON Schema (2020-12) that describes an answer. */
type Schema =
  | { readonly type: 'boolean' | 'null'; readonly description: string }
  | { readonly type: 'string'; readonly description: string; readonly enum?: readonly string[] }
  | { readonly type: 'integer'; readonly description: string; readonly enum?: readonly number[] }
  | { readonly type: 'array'; readonly description: string; readonly items: Schema }
  | {
      readonly type: 'object';
      readonly description: string;
      readonly properties: Readonly<Record<string, Schema>>;
      readonly required: readonly string[];
    }
  | { readonly description: string; readonly anyOf: readonly Schema[] };

/** The type of the values that a schema describes. */
type Described<S> = S extends { readonly enum: readonly (infer Value)[] }
  ? Value
  : S extends { readonly type: 'boolean' }
    ? boolean
    : S extends { readonly type: 'null' }
      ? null
      : S extends { readonly type: 'string' }
        ? string
        : S extends { readonly type: 'integer' }
          ? number
          : S extends { readonly type: 'array'; readonly items: infer Item }
            ? readonly Described<Item>[]
            : S extends { readonly type: 'object'; readonly properties: infer Fields }
              ? { readonly [Key in keyof Fields]: Described<Fields[Key]> }
              : S extends { readonly anyOf: readonly (infer Each)[] }
                ? Described<Each>
                : never;

/** Describes an object that always has every field. */
function object<const Fields extends Readonly<Record<string, Schema>>>(
  description: string,
  properties: Fields,
) {
  return {
    type: 'object',
    description,
    properties,
    required: Object.keys(properties),
  } as const;
}

function list<const Item extends Schema>(description: string, items: Item) {
  return { type: 'array', description, items } as const;
}

const text = (description: string) => ({ type: 'string', description }) as const;

const CHANGE = object('one change', {
  kind: {
    type: 'string',
    description:
      '`rules` in the kernel, a `file` or link, a kernel `setting`, the system’s `resolvers`, a `connection` of NetworkManager, a network `device`, `flows` that conntrack ended, or a started `service`',
    enum: CHANGE_KINDS,
  },
  what: text('its path; else the program that made the change, and its first arguments'),
  how: { type: 'string', description: '`added`, `changed` or `removed`', enum: CHANGE_HOWS },
});

const STATES = ['unlocked', 'open', 'unknown', 'blocked', 'portal', 'connected'] as const;

/**
 * The answer of a command that changes something, called with `--json`. The type `Answer`, the
 * reference and the published schema are made from it.
 */
export const ANSWER = object('the answer of `ovpn-killswitch COMMAND --json`', {
  version: {
    type: 'integer',
    description: '1. It rises when a field is removed or changes its meaning',
    enum: [1],
  },
  command: text('the command that was run'),
  changed: {
    type: 'boolean',
    description: 'whether anything changed: `true` if `changes` has an entry, even after an error',
  },
  changes: list('every change', CHANGE),
  planned: list('each profile and connection that `--dry-run` would change; else empty', CHANGE),
  state: {
    description:
      'the machine after the command, read from the kernel. `null` if the caller may not read it',
    anyOf: [
      object('the state', {
        state: {
          type: 'string',
          description:
            '`unlocked`, `open` (locked, but no rule is loaded), `blocked`, `portal`, `connected`, or `unknown` (the rules could not be read)',
          enum: STATES,
        },
        exact: {
          type: 'boolean',
          description: 'whether the kernel holds exactly the expected rules',
        },
        backend: {
          description: '`iptables` or `nftables`; `null` if neither can be asked',
          anyOf: [text('its name'), { type: 'null', description: 'neither can be asked' }],
        },
        rules: list(
          'the tables that hold rules of this product, as the tools name them',
          text('a table'),
        ),
        dropPolicies: list(
          'chains whose policy drops. On a machine locked with iptables, `lock` has set them. On an unlocked machine, another program has',
          text('a chain'),
        ),
        unknown: list('one text for each part that could not be read', text('a part and why')),
      }),
      { type: 'null', description: 'the caller may not read it' },
    ],
  },
  messages: list('the lines that the command prints without `--json`', text('a line')),
  warnings: list('the warnings that it also prints on stderr', text('a warning')),
  error: {
    description:
      'why the command failed. `null` if it did not fail, or if `messages` contain the reason',
    anyOf: [
      object('the error', {
        code: {
          type: 'string',
          description: 'its code: a heading of [Errors](errors.md)',
          enum: Object.keys(ERRORS) as ErrorCode[],
        },
        message: text('what happened'),
        detail: list('more lines, such as the output of a program', text('a line')),
        state: text('the line `Still safe` or `State now`'),
        next: text('what to do next'),
      }),
      { type: 'null', description: 'no error' },
    ],
  },
  exit: {
    type: 'integer',
    description:
      'the [exit status](commands.md#exit-statuses-of-every-command) of the command, the same as without `--json`',
    enum: Object.values(EXIT) as ExitStatus[],
  },
});

export type Answer = Described<typeof ANSWER>;
