/* What can happen. Each option of `Node` and `Fault` is one durable transaction or one fault. */

#define ROOM    (rows < ENTRIES)
#define GRANTOR(unit) ((unit) == ROOT -> (unit) : PARENT(unit))
#ifdef NONCES_FALL
#define DRAW(unit) (7 - drawn[unit])                   /* the order of nonces is chance: the other extreme */
#else
#define DRAW(unit) drawn[unit]
#endif

/* --- switches: what one must not simplify, and single guards taken out --- */
#ifdef REOPEN_OWN_TERM
#define MY_TURN(unit, r) (r != NONE && live[unit] && kind[r] != OFFER && OWNER(r) == unit)
#else
#define MY_TURN(unit, r) (live[unit] && WRITES(unit, r) && !FROZEN(unit, r))
#endif

#define OPEN_OFFER(r) (r != NONE && kind[r] == OFFER)
#if defined(RECEIVER_DECIDES_AGAIN)
#define FOR_ME(unit, r)  (live[unit] && who[to[r]] == unit)
#define ANSWERS_AS(unit, r) to[r]
#elif defined(OFFER_NAMES_NO_INCARNATION)
#define FOR_ME(unit, r)  (live[unit] && who[to[r]] == unit)
#define ANSWERS_AS(unit, r) inc[unit]
#else
#define FOR_ME(unit, r)  (live[unit] && to[r] == inc[unit])
#define ANSWERS_AS(unit, r) inc[unit]
#endif
#ifdef ACCEPTS_AFTER_DECLINE
#define UNDECIDED(unit, r) true
#else
#define UNDECIDED(unit, r) (!IN(answers[unit], r))
#endif

#if defined(OFFER_TIMES_OUT)
#define ENDED(unit, r) true
#elif defined(ANY_DECLINE_WILL_DO)
#define ENDED(unit, r) (answers[unit] != 0)
#else
#define ENDED(unit, r) IN(answers[unit], r)
#endif

#ifdef ARBITER_UNDER_OLD_INCARNATION
#define CLAIMS_AS(unit) true
#else
#define CLAIMS_AS(unit) live[unit]
#endif

#if defined(HEAL_PARENT_ONLY) || defined(GRANT_WITHOUT_HEALING)
#define ASKED(unit) ((unit) == ROOT -> 0 : (1 << PARENT(unit)))
#else
#define ASKED(unit) NEAR(unit)
#endif
#ifdef GRANT_WITHOUT_HEALING
#define HEALED(unit) true
#else
#define HEALED(unit) ((healed[unit] & ASKED(unit)) == ASKED(unit))
#endif

#if defined(WRITES_AT_ONCE)
#define OLD_LIFE(unit) true
#elif defined(HEAL_PARENT_ONLY)
#define OLD_LIFE(unit) HEALED(unit)
#elif defined(HEAL_ALL_THEN_OLD_INCARNATION)
#define OLD_LIFE(unit) HEALED(unit)
#elif defined(BARRED_UNTIL_CLAIM)
#define OLD_LIFE(unit) (HEALED(unit) && BARRED_NO_MORE(unit, 0))
#define BARRED_NO_MORE(unit, theme) (HEAD(unit, theme) != NONE && G(pos[HEAD(unit, theme)]) > bar[unit])
#else
#define OLD_LIFE(unit) false
#endif

#ifdef NUMBER_NOT_RAISED
#define STEP_UP 0
#else
#define STEP_UP 1
#endif

#if defined(GRANT_WITHOUT_NONCE)
#define BINDS(unit) 0
#define MINE(unit, nth) (who[nth] == unit && AGE(nth) > AGE(inc[unit]))
#elif defined(WITNESS_NUMBER) || defined(WITNESS_NUMBER_AND_HEAD)
#define BINDS(unit) 0
#define MINE(unit, nth) false
#else
#define BINDS(unit) asks[unit]
#define MINE(unit, nth) (who[nth] == unit && nonce[nth] == asks[unit])
#endif

/* --- entries --- */
#define WORK_ON(theme) :: d_step { ROOM && MY_TURN(me, HEAD(me, theme)) -> \
    sign(me, inc[me], WORK, HEAD(me, theme), 0, NEXT(HEAD(me, theme))); DONE }

#define MAY_OFFER(unit, peer) (BELOW(peer, unit) || BELOW(unit, peer))
#define OFFER_TO(theme, peer) :: d_step { ROOM && MY_TURN(me, HEAD(me, theme)) && MAY_OFFER(me, peer) -> \
    sign(me, inc[me], OFFER, HEAD(me, theme), NEWEST(me, peer), NEXT(HEAD(me, theme))); DONE }

#define ACCEPT_OFFER(theme) :: d_step { ROOM && OPEN_OFFER(HEAD(me, theme)) && FOR_ME(me, HEAD(me, theme)) && UNDECIDED(me, HEAD(me, theme)) && !FROZEN(me, HEAD(me, theme)) -> \
    sign(me, ANSWERS_AS(me, HEAD(me, theme)), ACCEPT, HEAD(me, theme), 0, HANDED_OVER(HEAD(me, theme))); DONE }

#define DECLINE_OFFER(theme) :: d_step { OPEN_OFFER(HEAD(me, theme)) && FOR_ME(me, HEAD(me, theme)) && !IN(answers[me], HEAD(me, theme)) -> \
    decline_it(me, HEAD(me, theme)); DONE }

inline decline_it(node, row) {
    past = TOPICS;
    do
    :: past < rows ->
        assert(kind[past] != ACCEPT || prev[past] != row || by[past] != to[row] || !FIRM(by[past]));   /* I1 */
        past++
    :: else -> break
    od;
    answers[node] = answers[node] | (1 << row);
    declined = declined | (1 << row)
}

#define RESUME_AFTER(theme) :: d_step { ROOM && live[me] && OPEN_OFFER(HEAD(me, theme)) && by[HEAD(me, theme)] == inc[me] && ENDED(me, HEAD(me, theme)) && !FROZEN(me, HEAD(me, theme)) -> \
    sign(me, inc[me], RESUME, HEAD(me, theme), 0, HANDED_OVER(HEAD(me, theme))); DONE }

#define CLAIM_BY_PERSON(theme) :: d_step { ROOM && claims > 0 && HEAD(me, theme) != NONE && CLAIMS_AS(me) && MAY_CLAIM(me, HEAD(me, theme)) -> \
    claims--; sign(me, inc[me], CLAIM, HEAD(me, theme), 0, CLAIMED(HEAD(me, theme), me)); DONE }

#define DISPOSE_OF(theme) :: d_step { ROOM && MY_TURN(me, HEAD(me, theme)) && knows[me] != 0 -> \
    orphans(me, theme); \
    if :: rest != 0 -> named[rows] = rest; sign(me, inc[me], DISPOSE, HEAD(me, theme), 0, NEXT(HEAD(me, theme))) :: else fi; DONE }

/* --- the network --- */
#ifdef HELD                                      /* kept and never looked at again: what stands on it never fits */
#define FITS(unit, row) (!IN(held[unit], row))
#define SEEN(unit, row) IN(knows[unit] | held[unit], row)

inline doubt(node, row) {                        /* found: this reader holds the row */
    found = false;
#if defined(DEAD_OFFER_HELD)                     /* an offer must name the incarnation live at the reader */
    found = (kind[row] == OFFER && NEWEST(node, who[to[row]]) != to[row]);
#elif defined(RIVAL_HELD)                        /* the second of one position, and so all that stands on it */
    past = 0;
    do
    :: past < rows ->
        if
        :: past != (row) && IN(knows[node], past) && TOPIC(past) == TOPIC(row) && by[past] == by[row] && pos[past] == pos[row] -> found = true
        :: else
        fi;
        past++
    :: else -> break
    od
#elif defined(CLAIM_NEEDS_NEWER_ROSTER)          /* the reader must know that the offer went to a dead one */
    found = (kind[row] == CLAIM && kind[prev[row]] == OFFER && by[prev[row]] == by[row] && !DEAD_OFFER(node, prev[row]));
#endif
}

inline arrive(node, row) {
    doubt(node, row);
    if
    :: found -> held[node] = held[node] | (1 << (row))
    :: else -> store(node, row)
    fi
}
#else
#define FITS(unit, row) true
#define arrive(node, row) store(node, row)
#endif

#define HAS_PREV(unit, item) (item < TOPICS || IN(knows[unit], prev[item]))
#define GET(item) :: d_step { item < rows && !IN(knows[me], item) && HAS_PREV(me, item) && FITS(me, item) -> \
    notice(me, by[item]); arrive(me, item); DONE }
#define GET_DECLINED(item) :: d_step { IN(declined, item) && !IN(answers[me], item) && IN(knows[me], item) -> \
    notice(me, to[item]); answers[me] = answers[me] | (1 << item); DONE }
#define GET_GRANT(nth) :: d_step { nth < lives && AGE(nth) > AGE(NEWEST(me, who[nth])) -> NEWEST(me, who[nth]) = nth; DONE }

/* --- lives (R10 to R13) --- */
inline die(unit) {
    live[unit] = false;
    drawn[unit]++;
    asks[unit] = DRAW(unit);
    healed[unit] = 0
}

/* R10, R15: somebody knows more of the life a node lives in than the node itself */
#if SLIPS > 0
inline notice(unit, life) {
    if
    :: live[unit] && inc[unit] == (life) -> die(unit)
    :: else
    fi
}

inline compare(unit, other) {
    item = 0;
    do
    :: item < rows && live[unit] ->
        if
        :: by[item] == inc[unit] && IN(knows[other], item) && !IN(knows[unit], item) -> die(unit)
        :: kind[item] == OFFER && to[item] == inc[unit] && IN(answers[other], item) && !IN(answers[unit], item) -> die(unit)
        :: else
        fi;
        item++
    :: else -> break
    od
}
#define CALL(spare) :: d_step { slipped != 0 && live[me] && IN(NEAR(me), spare) -> compare(me, spare); DONE }
#else
#define notice(unit, life) skip
#endif

inline begin(unit, life) {
#if !defined(OLD_INCARNATION) && !defined(WRITERS_BY_NODE)
    assert(!IN(taken, life));                    /* no two lives under one (number, nonce) */
#endif
    taken = taken | (1 << (life));
    inc[unit] = life;
    live[unit] = true;
    asks[unit] = 0;
    healed[unit] = 0;
    learn(unit, life)
}

inline grant(g, unit) {
    high = number[NEWEST(g, unit)];
    if
    :: number[NEWEST(unit, unit)] > high -> high = number[NEWEST(unit, unit)]
    :: else
    fi;
    high = high + STEP_UP;
    found = false;
    nth = N;
    do                                           /* the same words again are the same grant */
    :: nth < lives && !found ->
        if
        :: who[nth] == unit && number[nth] == high && nonce[nth] == BINDS(unit) -> found = true
        :: else -> nth++
        fi
    :: else -> break
    od;
    if
    :: !found ->
        who[lives] = unit;
        number[lives] = high;
        nonce[lives] = BINDS(unit);
        lives++
    :: else
    fi;
    learn(g, nth)
}

#define HEAL_WITH(spare) :: d_step { !live[me] && IN(NEAR(me), spare) && !IN(healed[me], spare) -> \
    equalize(me, spare); healed[me] = healed[me] | (1 << spare); DONE }
#define WAIVE(spare) :: d_step { waivers > 0 && !live[me] && IN(NEAR(me), spare) && !IN(healed[me], spare) -> \
    waivers--; healed[me] = healed[me] | (1 << spare); DONE }
#define ASK :: d_step { !live[me] && HEALED(me) && (me == ROOT || live[GRANTOR(me)]) && lives < N + GRANTS && \
    (NEWEST(GRANTOR(me), me) < N || nonce[NEWEST(GRANTOR(me), me)] != BINDS(me)) -> agent = GRANTOR(me); grant(agent, me); DONE }
#define TAKE(nth) :: d_step { nth < lives && !live[me] && MINE(me, nth) -> begin(me, nth); DONE }
#define KNOWS_A_LATER_SELF :: d_step { live[me] && AGE(NEWEST(me, me)) > AGE(inc[me]) && drawn[me] < RESTORES + SLIPS + 1 -> die(me); DONE }
#define GO_ON_AS_BEFORE :: d_step { !live[me] && OLD_LIFE(me) -> live[me] = true; asks[me] = 0; healed[me] = 0; DONE }
#define CONSENT(w) :: d_step { !live[me] && HEALED(me) && IN(NEAR(me), w) && live[w] && lives < N + GRANTS && WITNESS_CONTENT(w) -> \
    grant(w, me); begin(me, nth); DONE }
#ifdef WITNESS_NUMBER_AND_HEAD
#define WITNESS_CONTENT(w) ((knows[w] & ~knows[me]) == 0)
#else
#define WITNESS_CONTENT(w) true
#endif

#if N == 3
#define EACH_NODE(STEP) STEP(0) STEP(1) STEP(2)
#define EACH_NODE_OF(STEP, theme) STEP(theme, 0) STEP(theme, 1) STEP(theme, 2)
#elif N == 4
#define EACH_NODE(STEP) STEP(0) STEP(1) STEP(2) STEP(3)
#define EACH_NODE_OF(STEP, theme) STEP(theme, 0) STEP(theme, 1) STEP(theme, 2) STEP(theme, 3)
#else
#define EACH_NODE(STEP) STEP(0) STEP(1) STEP(2) STEP(3) STEP(4)
#define EACH_NODE_OF(STEP, theme) STEP(theme, 0) STEP(theme, 1) STEP(theme, 2) STEP(theme, 3) STEP(theme, 4)
#endif
#define EACH_ROW(STEP)  STEP(0) STEP(1) STEP(2) STEP(3) STEP(4) STEP(5) STEP(6) STEP(7)
#define EACH_LIFE(STEP) STEP(N) STEP((N + 1)) STEP((N + 2)) STEP((N + 3))
#if TOPICS == 1
#define EACH_TOPIC(STEP) STEP(0)
#define OFFERS EACH_NODE_OF(OFFER_TO, 0)
#else
#define EACH_TOPIC(STEP) STEP(0) STEP(1)
#define OFFERS EACH_NODE_OF(OFFER_TO, 0) EACH_NODE_OF(OFFER_TO, 1)
#endif

/* --- faults --- */
inline look_again(unit) {
    theme = 0;
    do
    :: theme < TOPICS -> HEAD(unit, theme) = NONE; theme++
    :: else -> break
    od;
    item = 0;
    do
    :: item < rows ->
        if
        :: IN(knows[unit], item) -> look(unit, item)
        :: else
        fi;
        item++
    :: else -> break
    od
}

inline keep(unit) {                                 /* a backup */
    b_knows[unit] = knows[unit];
    b_answers[unit] = answers[unit];
    b_inc[unit] = inc[unit];
    peer = 0;
    do
    :: peer < N -> b_newest[unit * N + peer] = NEWEST(unit, peer); peer++
    :: else -> break
    od
}

inline bring_back(unit) {
    knows[unit] = b_knows[unit];
    answers[unit] = b_answers[unit];
    inc[unit] = b_inc[unit];
    peer = 0;
    do
    :: peer < N -> NEWEST(unit, peer) = b_newest[unit * N + peer]; peer++
    :: else -> break
    od;
    look_again(unit)
}

inline forget_backups() {                        /* nothing can be restored any more: one state instead of many */
    if
    :: restores + slips == 0 ->
        backups = 0;
        peer = 0;
        do
        :: peer < N * N -> b_newest[peer] = 0; peer++
        :: else -> break
        od;
        peer = 0;
        do
        :: peer < N -> b_knows[peer] = 0; b_answers[peer] = 0; b_inc[peer] = 0; peer++
        :: else -> break
        od
    :: else
    fi
}

#ifdef BARRED_UNTIL_CLAIM
inline remember_bar(unit) {
    bar[unit] = 0;
    if
    :: HEAD(unit, 0) != NONE -> bar[unit] = G(pos[HEAD(unit, 0)])
    :: else
    fi
}
#else
#define remember_bar(unit) skip
#endif

#define MAY_LOSE(unit) IN(RESTORABLE, unit)
#define BACKUP(unit)  :: d_step { backups > 0 && restores + slips > 0 && MAY_LOSE(unit) && live[unit] && \
    (knows[unit] != b_knows[unit] || answers[unit] != b_answers[unit] || inc[unit] != b_inc[unit]) -> backups--; keep(unit); DONE }
#define RESTORE(unit) :: d_step { restores > 0 && MAY_LOSE(unit) -> restores--; bring_back(unit); die(unit); remember_bar(unit); forget_backups(); DONE }
#define SLIP(unit)    :: d_step { slips > 0 && MAY_LOSE(unit) && live[unit] -> \
    slips--; bring_back(unit); slipped = slipped | (1 << inc[unit]); forget_backups(); DONE }

