/* The page's script. It only adds to what the page says without it: columns sort, rows are filtered, every `title`
   becomes a note that a finger can open, a mark of a picture lights up its row, and sampled rows after the first ones
   are folded until they are asked for. */
(() => {
  const all = (where, what) => [...where.querySelectorAll(what)];
  const make = (name, properties) => Object.assign(document.createElement(name), properties);
  const SHOWN = 8, MINUS = '\u2212', NOTHING = '\u2013';

  // notes: what a title says, for a pointer, a finger and the keyboard
  const tip = make('div', { id: 'tip', hidden: true });
  tip.setAttribute('role', 'status');
  document.body.append(tip);
  for (const mark of all(document, 'g.mark')) {
    const title = mark.querySelector(':scope > title');
    if (title) { mark.dataset.tip = title.textContent; title.remove(); }
  }
  for (const each of all(document, '[title]')) {
    each.dataset.tip = each.title;
    each.removeAttribute('title');
    each.tabIndex = 0;
  }
  let pinned = null;
  const noted = event => event.target.closest?.('[data-tip]');
  const light = row => {
    for (const picture of all(document, 'svg')) {
      const marks = all(picture, 'g[data-row]');
      const has = row !== null && marks.some(mark => mark.dataset.row === row);
      for (const mark of marks) mark.classList.toggle('dimmed', has && mark.dataset.row !== row);
    }
    for (const line of all(document, 'tr[data-row]')) line.classList.toggle('lit', line.dataset.row === row);
  };
  const show = (each, x, y) => {
    tip.textContent = each.dataset.tip;
    tip.hidden = false;
    tip.style.left = `${Math.max(8, Math.min(x + 14, innerWidth - tip.offsetWidth - 8))}px`;
    tip.style.top = `${y + 18 + tip.offsetHeight > innerHeight ? y - tip.offsetHeight - 10 : y + 18}px`;
    light(each.dataset.row ?? null);
  };
  const hide = () => { tip.hidden = true; pinned = null; light(null); };
  document.addEventListener('pointerover', event => {
    if (event.pointerType === 'touch') return;
    const each = noted(event);
    if (each) show(each, event.clientX, event.clientY);
    else if (!pinned && !tip.hidden) hide();
  });
  document.addEventListener('click', event => {
    const each = noted(event);
    if (!each || each === pinned) return hide();
    pinned = each;
    show(each, event.clientX, event.clientY);
  });
  document.addEventListener('focusin', event => {
    const each = noted(event), box = each?.getBoundingClientRect();
    if (each) show(each, box.left, box.bottom - 14);
  });
  document.addEventListener('keydown', event => { if (event.key === 'Escape') hide(); });
  document.addEventListener('scroll', () => { if (!tip.hidden) hide(); }, true);

  // tables: a heading sorts its column, up, down, and back to the order of the report
  const value = cell => {
    const text = (cell?.dataset.value ?? cell?.firstChild?.textContent ?? '').trim();
    const number = parseFloat(text.replace(MINUS, '-').replaceAll(',', ''));
    return text === '' || text === NOTHING ? null : isNaN(number) ? text.toLowerCase() : number;
  };
  const order = (a, b) => typeof a !== typeof b ? (typeof a === 'number' ? -1 : 1) : a < b ? -1 : a > b ? 1 : 0;
  const NEXT = { none: 'ascending', ascending: 'descending', descending: 'none' };
  for (const table of all(document, 'table')) {
    const body = table.tBodies[0], heads = all(table, 'th');
    const fixed = all(body, 'tr.line'), free = [...body.rows].filter(row => !fixed.includes(row)), given = [...free];
    if (free.length < 2) continue;
    heads.forEach((head, column) => {
      const sort = () => {
        const next = NEXT[head.getAttribute('aria-sort')], sign = next === 'descending' ? -1 : 1;
        for (const each of heads) each.setAttribute('aria-sort', 'none');
        head.setAttribute('aria-sort', next);
        const values = new Map(free.map(row => [row, value(row.cells[column])]));
        const compare = (a, b) => {
          const [one, other] = [values.get(a), values.get(b)];
          return one === null || other === null ? (one === null) - (other === null) : sign * order(one, other);
        };
        body.append(...(next === 'none' ? given : [...given].sort(compare)), ...fixed);
      };
      head.setAttribute('aria-sort', 'none');
      head.tabIndex = 0;
      head.addEventListener('click', sort);
      head.addEventListener('keydown', event => {
        if (event.key === 'Enter' || event.key === ' ') { event.preventDefault(); sort(); }
      });
    });
    if (free.length <= SHOWN) continue;
    const more = free.filter(row => row.classList.contains('sampled')).slice(SHOWN);
    const input = make('input', { type: 'search', placeholder: 'filter rows', ariaLabel: 'filter rows' });
    const button = make('button', { type: 'button' }), tools = make('div', { className: 'tools' });
    let open = more.length === 0;
    const draw = () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const row of free) {
        const text = row.textContent.toLowerCase();
        row.hidden = words.length ? !words.every(word => text.includes(word)) : !open && more.includes(row);
      }
      button.textContent = open ? 'show fewer' : `show ${more.length} more sampled rows`;
    };
    tools.append(input, ...(more.length ? [button] : []));
    button.addEventListener('click', () => { open = !open; draw(); });
    input.addEventListener('input', draw);
    table.closest('.scroll').before(tools);
    draw();
  }
})();
