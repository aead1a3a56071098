"use strict";
/* What the timeline draws and where: milestones, sessions packed into lanes, a lane for each kind of act. */

const lanes = (() => {
  const SESSION_LANES = 14;
  const HEIGHT = { axis: 26, rare: 20, flag: 17, session: 28, act: 30 };

  /** Until when a session is known to have been: its end, or the last that its stays say. */
  function known(session) {
    if (session.end !== null) return session.end;
    return session.stays.reduce((last, [, since, until]) => Math.max(last, since, until || since), session.start);
  }

  /** Place sessions one below the other where they overlap; those that find no lane share the last. */
  function packed(sessions) {
    const ends = [];
    return sessions.map((session) => {
      const stop = known(session);
      let lane = ends.findIndex((taken) => session.start >= taken);
      if (lane < 0) lane = Math.min(ends.length, SESSION_LANES - 1);
      ends[lane] = Math.max(ends[lane] || 0, stop);
      return { session, stop, lane, open: session.end === null };
    });
  }

  /** The rows that are milestones, those of rare origins, in order of time. */
  function ofNote() {
    const milestones = [];
    const rare = [];
    for (let i = 0; i < acts.size; i += 1) {
      if (acts.milestoneOfKind[acts.kind[i]]) milestones.push(i);
      if (acts.rareOfKind[acts.kind[i]]) rare.push(i);
    }
    return { milestones, rare };
  }

  /** The whole stretch of time, a little around it. */
  function extent() {
    let low = Infinity;
    let high = -Infinity;
    for (let i = 0; i < acts.size; i += 1) {
      low = Math.min(low, acts.time[i]);
      high = Math.max(high, acts.time[i] + acts.span[i]);
    }
    for (const session of acts.sessions) {
      low = Math.min(low, session.start);
      high = Math.max(high, known(session));
    }
    const around = Math.max(60_000, (high - low) / 50);
    return [low - around, high + around];
  }

  const whole = acts.size ? extent() : [0, 1];
  const rows = packed(acts.sessions);
  const sessionLanes = rows.reduce((most, row) => Math.max(most, row.lane + 1), 0);

  /** Where each band begins, for a number of rows of flags. */
  function bands(flagRows) {
    let y = HEIGHT.axis;
    const at = { axis: y };
    at.rare = y;
    y += HEIGHT.rare;
    at.flags = y;
    y += Math.max(1, flagRows) * HEIGHT.flag + 6;
    at.sessions = y;
    y += sessionLanes * HEIGHT.session + 6;
    at.acts = acts.lanes.map(() => {
      y += HEIGHT.act;
      return y - HEIGHT.act;
    });
    at.bottom = y + 4;
    return at;
  }

  return { HEIGHT, whole, rows, sessionLanes, bands, ...ofNote() };
})();
