/// How the page looks: on screens wide and narrow, light and dark, and on paper. Nothing is loaded.
enum PageStyle {
  static let css = """
    :root {
            --paper: #fcfbf8; --panel: #f4f2ec; --ink: #1b1d21; --soft: #565b63; --line: #dcd8cd; --accent: #0a5a78;
      --good: #17643a; --bad: #a3241b; --open: #7a5200; --mark: #ffe9a8;
      --s0: #0a5a78; --s1: #b4491a; --s2: #4c7a1e; --s3: #8b3a8a; --s4: #7a5200; --s5: #444b55;
      --sans: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", sans-serif;
      --mono: ui-monospace, "SF Mono", "Cascadia Mono", Menlo, "DejaVu Sans Mono", monospace;
    }
    @media (prefers-color-scheme: dark) {
      :root {
        --paper: #15171a; --panel: #1d2024; --ink: #e8e6e1; --soft: #a4a9b1; --line: #363a41; --accent: #6cc3e0;
        --good: #74d19b; --bad: #ff9489; --open: #eebb5a; --mark: #574613;
        --s0: #6cc3e0; --s1: #f2996b; --s2: #a5d06c; --s3: #dc9ade; --s4: #eebb5a; --s5: #b3bac5;
      }
    }
    * { box-sizing: border-box; }
    html { -webkit-text-size-adjust: 100%; scroll-padding-top: 1rem; }
    body {
      margin: 0; background: var(--paper); color: var(--ink); font: 1rem/1.55 var(--sans);
      font-variant-numeric: tabular-nums;
    }
    main, header, footer { max-width: 92rem; margin: 0 auto; padding: 0 clamp(1rem, 4vw, 2.5rem); }
    header { padding-top: clamp(1.5rem, 4vw, 3rem); }
    a { color: var(--accent); }
    :focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: 2px; }
    .skip { position: absolute; left: -999rem; }
    .skip:focus { left: 1rem; top: 1rem; background: var(--paper); padding: .5rem 1rem; z-index: 2; }
    .brand { margin: 0; color: var(--accent); font-weight: 600; letter-spacing: .14em; text-transform: uppercase;
      font-size: .8rem; }
    h1 { margin: .2rem 0 .4rem; font-size: clamp(1.7rem, 4.5vw, 2.6rem); line-height: 1.12; letter-spacing: -.02em;
      font-weight: 700; overflow-wrap: anywhere; }
    .lede { margin: 0 0 1.4rem; max-width: 62ch; color: var(--soft); font-size: 1.08rem; overflow-wrap: anywhere; }
    nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; list-style: none; margin: 0 0 .5rem; padding: .65rem 0;
      border-top: 1px solid var(--line); border-bottom: 1px solid var(--line); font-size: .94rem; }
    section { margin-top: 3rem; }
    h2 { margin: 0 0 .35rem; font-size: 1.38rem; letter-spacing: -.012em; line-height: 1.25; }
    h3 { margin: 1.6rem 0 .5rem; font-size: 1.05rem; overflow-wrap: anywhere; }
    article h3 { margin: 1.2rem 0 .4rem; font-size: .95rem; }
    p { max-width: 74ch; margin: .4rem 0 .9rem; }
    .hint { color: var(--soft); font-size: .92rem; }
    .glance { display: grid; grid-template-columns: repeat(auto-fit, minmax(13.5rem, 1fr)); gap: .9rem; margin: 1.4rem 0 0; }
    .glance div { background: var(--panel); border-radius: 8px; padding: .85rem 1rem .9rem; min-width: 0; }
    .glance dt { color: var(--soft); font-size: .84rem; }
    .glance dd { margin: 0; overflow-wrap: anywhere; }
    .glance .big { font-size: 1.55rem; font-weight: 700; letter-spacing: -.015em; line-height: 1.25; }
    .glance .small { font-size: .88rem; color: var(--soft); }
    .notes { margin: 1.4rem 0 0; padding: .7rem 1.1rem; border-left: 4px solid var(--open); background: var(--panel);
      border-radius: 0 8px 8px 0; }
    .notes ul { margin: 0; padding-left: 1.1rem; } .notes li { overflow-wrap: anywhere; }
    .scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 8px; background: var(--paper); }
    table { border-collapse: separate; border-spacing: 0; width: 100%; font-size: .875rem; }
    th, td { padding: .5rem .5rem; text-align: right; vertical-align: top; white-space: nowrap; }
    th:first-child, td:first-child { padding-left: .8rem; } th:last-child, td:last-child { padding-right: .8rem; }
    thead th { background: var(--panel); font-weight: 600; font-size: .8rem; vertical-align: bottom; color: var(--soft); white-space: normal;
      border-bottom: 1px solid var(--line); }
    tbody tr + tr > * { border-top: 1px solid var(--line); }
    tbody th { font-weight: 600; text-align: left; } thead th:first-child, .left { text-align: left; }
    .pin tbody th, .pin thead th:first-child { position: sticky; left: 0; background: var(--paper);
      box-shadow: 1px 0 0 var(--line); max-width: 15rem; white-space: normal; overflow-wrap: break-word; min-width: 9rem; }
    .pin thead th:first-child { background: var(--panel); }
    td small, th small { display: block; color: var(--soft); font-size: .8rem; font-weight: 400; }
    .wrap { white-space: normal; min-width: 16rem; overflow-wrap: anywhere; text-align: left; }
    .verdict { font-weight: 600; } .pass { color: var(--good); } .fail { color: var(--bad); }
    .inconclusive, .skipped { color: var(--open); } .failed { color: var(--bad); }
    code, pre { font-family: var(--mono); font-size: .84rem; }
    .hash { overflow-wrap: anywhere; white-space: normal; text-align: left; min-width: 14rem; }
    .plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); gap: 1.4rem; }
    figure { margin: .6rem 0 0; min-width: 0; } figcaption { font-size: .9rem; color: var(--soft); margin-top: .35rem; }
    figure h3 { margin: 0 0 .3rem; }
    .plot { overflow-x: auto; } .plot svg { display: block; width: 100%; min-width: 34rem; max-width: 46rem; height: auto; }
    svg text { font-family: var(--sans); fill: var(--ink); font-size: 12px; }
    svg .tick { fill: var(--soft); font-size: 11.5px; } svg .axis-title { fill: var(--soft); font-size: 12.5px; }
    svg .value { font-weight: 600; } svg .label { paint-order: stroke; stroke: var(--paper); stroke-width: 3px; }
    svg .grid { stroke: var(--line); stroke-width: 1; } svg .axis { stroke: var(--soft); stroke-width: 1; }
    svg .bar { fill: var(--s0); opacity: .78; } svg .sample { fill: var(--ink); opacity: .55; }
    svg .whisker { stroke: var(--ink); stroke-width: 1.4; opacity: .75; }
    svg .line, svg .frontier { fill: none; stroke-width: 1.8; } svg .frontier { stroke-dasharray: 5 4; opacity: .8; }
    svg .mark { stroke-width: 1.6; } svg .hollow { fill: var(--paper); }
    \(series)
    .legend { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; list-style: none; padding: 0; margin: .3rem 0; font-size: .9rem; }
    .legend svg { width: 16px; height: 16px; vertical-align: -3px; margin-right: .35rem; }
    .stack { display: flex; height: 12px; min-width: 9rem; border-radius: 3px; overflow: hidden; background: var(--line); }
    .stack span { display: block; } .e0 { background: var(--s0); }
    .e1 { background: repeating-linear-gradient(135deg, var(--s2) 0, var(--s2) 4px, var(--paper) 4px, var(--paper) 6px); }
    .e2 { background: repeating-linear-gradient(90deg, var(--s1) 0, var(--s1) 3px, var(--paper) 3px, var(--paper) 5px); } .e3 { background: var(--s5); }
    .swatch { display: inline-block; width: 1.1rem; height: .7rem; border-radius: 2px; margin-right: .35rem; }
    details { border: 1px solid var(--line); border-radius: 8px; margin: .6rem 0; background: var(--paper); }
    summary { cursor: pointer; padding: .6rem .9rem; font-weight: 600; overflow-wrap: anywhere; }
    details > div { padding: 0 .9rem .9rem; }
    .pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); gap: .8rem; }
    .pair > div { min-width: 0; } .pair p { margin: 0 0 .25rem; font-size: .86rem; color: var(--soft); overflow-wrap: anywhere; }
    pre { margin: 0; padding: .6rem .75rem; background: var(--panel); border-radius: 6px; overflow: auto; max-height: 24rem;
      white-space: pre; tab-size: 4; line-height: 1.45; }
    mark { background: var(--mark); color: inherit; }
    .ids { overflow-wrap: anywhere; font-size: .88rem; max-width: none; }
    .facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); gap: 0 2.2rem; }
    .facts dl { display: grid; grid-template-columns: minmax(6rem, auto) minmax(0, 1fr); gap: .2rem .9rem; margin: 0; font-size: .9rem; }
    .facts dt { color: var(--soft); overflow-wrap: anywhere; } .facts dd { margin: 0; overflow-wrap: anywhere; }
    footer { margin-top: 4rem; padding-top: 1.2rem; padding-bottom: 2.5rem; color: var(--soft); font-size: .86rem; }
    @media (max-width: 40rem) {
      section { margin-top: 2.3rem; } th, td { padding: .5rem .6rem; }
      .pin tbody th, .pin thead th:first-child { max-width: 7.5rem; min-width: 6.5rem; }
    }
    @media print {
      :root { --paper: #fff; --panel: #f3f3f3; --ink: #000; --soft: #333; --line: #bbb; --accent: #000; --mark: #ddd;
        --good: #000; --bad: #000; --open: #000; }
      @page { size: A4 landscape; margin: 12mm; }
      html { font-size: 8.5pt; } main, header, footer { max-width: none; padding: 0; }
      nav, .skip { display: none; } .scroll, .plot, pre { overflow: visible; max-height: none; }
      pre { white-space: pre-wrap; overflow-wrap: anywhere; } figure, tr, article { break-inside: avoid; } h2, h3, .legend { break-after: avoid; }
      h2 + .hint { break-after: avoid; } .hint { break-inside: avoid; }
      .stack, .stack span, .swatch, mark { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
      section { margin-top: 1.6rem; } th, td { padding: .3rem .35rem; }
      .pin tbody th, .pin thead th:first-child { position: static; min-width: 0; } .wrap, .hash { min-width: 0; }
      .plot svg { min-width: 0; } .plots { grid-template-columns: 1fr 1fr; }
    }
    """

  /// The colours of series; shapes tell them apart without.
  private static let series = (0..<6).map { number in
    "svg .mark.s\(number) { fill: var(--s\(number)); stroke: var(--s\(number)); } "
      + "svg .hollow.s\(number) { fill: var(--paper); } svg .line.s\(number), svg .frontier.s\(number), "
      + "svg .whisker.s\(number) { stroke: var(--s\(number)); }"
  }.joined(separator: "\n")
}
