import { useEffect, useRef, useState } from 'preact/hooks';
import type { WorkView } from '../../classroom/api.js';
import { Shell } from '../terminal.js';

interface Opened {
  place: string;
  shell: Shell;
}

function Screen({ opened, shown, label }: { opened: Opened; shown: boolean; label: string }) {
  const element = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (element.current) opened.shell.show(element.current);
  }, [opened]);
  return <div class="screen" hidden={!shown} ref={element} role="group" aria-label={label} />;
}

/** A command that is to be typed; a new object each time. */
export interface Wanted {
  place: string;
  command: string;
}

export interface TerminalsProps {
  work: WorkView;
  wanted: Wanted | null;
  /** Whose lab, where a teacher looks. */
  person?: string;
  mode?: 'type' | 'look';
}

/** Arrow keys go from one tab to the next. */
function moveFocus(event: KeyboardEvent): void {
  const step = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0;
  if (step === 0) return;
  const tabs = [...(event.currentTarget as HTMLElement).querySelectorAll<HTMLButtonElement>('[role=tab]')];
  const at = tabs.indexOf(document.activeElement as HTMLButtonElement);
  tabs[(at + step + tabs.length) % tabs.length]?.focus();
  event.preventDefault();
}

/** A terminal for each host and container, opened when it is first chosen; all that are open stay open. */
export function Terminals({ work, wanted, person, mode = 'type' }: TerminalsProps) {
  const shells = useRef(new Map<string, Opened>());
  const [chosen, setChosen] = useState<string | null>(null);
  const [notices, setNotices] = useState<Readonly<Record<string, string | null>>>({});
  const [modes, setModes] = useState<Readonly<Record<string, 'type' | 'look'>>>({});
  const since = work.lab.state === 'up' ? work.lab.since : null;

  const open = (place: string): Opened => {
    const known = shells.current.get(place);
    if (known) return known;
    const shell = new Shell(
      { for: 'terminal', exercise: work.exercise, place, mode, ...(person === undefined ? {} : { person }) },
      {
        notice: (words) => setNotices((was) => ({ ...was, [place]: words })),
        mode: (now) => setModes((was) => ({ ...was, [place]: now })),
      },
    );
    const opened = { place, shell };
    shells.current.set(place, opened);
    return opened;
  };
  const endAll = (): void => {
    for (const { shell } of shells.current.values()) shell.end();
    shells.current.clear();
    setChosen(null);
    setNotices({});
  };
  // Another lab: its shells are others.
  useEffect(() => endAll, [since, work.exercise, person]);
  useEffect(() => {
    if (wanted === null || since === null) return;
    const { shell } = open(wanted.place);
    setChosen(wanted.place);
    shell.typeWhenReady(wanted.command);
  }, [wanted]);

  if (since === null) return <p class="dim">Terminals open when the lab is up.</p>;
  const choose = (place: string): void => {
    const { shell } = open(place);
    shell.goOn();
    setChosen(place);
    // Once it is shown: what is hidden takes no focus.
    window.setTimeout(() => shell.terminal.focus(), 50);
  };
  const notice = chosen === null ? null : notices[chosen];
  return (
    <div class="terminals">
      <div class="tabs" role="tablist" aria-label="Terminals" onKeyDown={moveFocus}>
        {work.terminals.map((place, at) => (
          <button
            key={place}
            type="button"
            role="tab"
            class="mono"
            aria-selected={place === chosen}
            tabIndex={place === chosen || (chosen === null && at === 0) ? 0 : -1}
            onClick={() => choose(place)}
          >
            {place}
          </button>
        ))}
      </div>
      <p class="notice" role="status">
        {notice ?? (chosen !== null && modes[chosen] === 'look' ? 'You look on: what you type is not taken.' : '')}
      </p>
      {[...shells.current.values()].map((opened) => (
        <Screen
          key={`${since}-${opened.place}`}
          opened={opened}
          shown={opened.place === chosen}
          label={`Terminal of ${opened.place}`}
        />
      ))}
      {chosen === null && <p class="dim">Choose a host or a container above.</p>}
    </div>
  );
}
