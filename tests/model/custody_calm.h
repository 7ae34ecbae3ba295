/* The faults end. From any state at all, one fair run of the rules, parents before children, must come to a writer for each
   topic that is on any disk. It is one deterministic step, so that trying it from every state costs one state in all. */

inline spread() {                                /* everything on a disk reaches every disk */
    rest = 0;
    rest_answers = 0;
    unit = 0;
    do
    :: unit < N ->
        rest = rest | knows[unit];
        rest_answers = rest_answers | answers[unit];
        mate = 0;
        do
        :: mate < N ->
            peer = 0;
            do
            :: peer < N -> learn(unit, NEWEST(mate, peer)); peer++
            :: else -> break
            od;
            mate++
        :: else -> break
        od;
        unit++
    :: else -> break
    od;
    unit = 0;
    do
    :: unit < N ->
        answers[unit] = rest_answers;
        item = 0;
        do
        :: item < rows ->
            if
            :: IN(rest, item) && !IN(knows[unit], item) && HAS_PREV(unit, item) && FITS(unit, item) -> arrive(unit, item)
            :: else
            fi;
            item++
        :: else -> break
        od;
        unit++
    :: else -> break
    od
}

#if SLIPS > 0
inline confront() {                              /* the first contact of each with each, by links or by persons */
    unit = 0;
    do
    :: unit < N ->
        mate = 0;
        do
        :: mate < N -> compare(unit, mate); mate++
        :: else -> break
        od;
        unit++
    :: else -> break
    od
}
#else
#define confront() skip
#endif

inline revive() {                                /* R10, R12, R13: parents before children */
    child = N;
    do
    :: child > 0 ->
        child--;
        if
        :: live[child] && AGE(NEWEST(child, child)) > AGE(inc[child]) -> die(child)
        :: else
        fi;
        if
        :: !live[child] ->
            agent = GRANTOR(child);
            grant(agent, child);
            begin(child, nth);
            spread()
        :: else
        fi
    :: else -> break
    od
}

inline agree() {                                 /* I4, I12: equal sets, equal heads */
    unit = 0;
    do
    :: unit < N -> assert(HEAD(unit, theme) == HEAD(ROOT, theme)); unit++
    :: else -> break
    od
}

inline claim_as(claimer) {
    assert(MAY_CLAIM(claimer, tip));
    giver = OWNER(tip);
    sign(claimer, inc[claimer], CLAIM, tip, 0, CLAIMED(tip, claimer));
    if
    :: claimer != giver ->
        high = rows - 1;
        sign(claimer, inc[claimer], OFFER, high, inc[giver], NEXT(high))
    :: claimer == giver && kind[tip] == OFFER && NEWEST(claimer, who[to[tip]]) != to[tip] ->
        high = rows - 1;                         /* the offer to the dead incarnation, written again */
        sign(claimer, inc[claimer], OFFER, high, NEWEST(claimer, who[to[tip]]), NEXT(high))
    :: else
    fi;
    decline = false;                             /* a rehome is accepted by itself */
    spread();
    agree()
}

inline lowest_above(node) {                      /* a = the lowest arbiter above, else the root itself */
    agent = 0;
    do
    :: agent < N && !(IS_ARBITER(agent, ORIGIN(theme)) && BELOW(agent, node)) -> agent++
    :: else -> break
    od;
    if
    :: agent == N -> agent = node
    :: else
    fi
}

inline settle() {                                /* topic t, as far as it takes */
    tries = 0;
    settled = (HEAD(ROOT, theme) == NONE);           /* on no disk: nobody can know of it */
    do
    :: !settled && tries < 4 ->
        tries++;
        tip = HEAD(ROOT, theme);
        giver = OWNER(tip);
        agent = NONE;                            /* who has to claim */
        if
        :: !PROVEN(ROOT, tip) && kind[tip] == OFFER && IN(answers[giver], tip) && by[tip] == inc[giver] ->
            sign(giver, inc[giver], RESUME, tip, 0, HANDED_OVER(tip));
            spread(); agree()
        :: !PROVEN(ROOT, tip) && kind[tip] == OFFER && !IN(answers[giver], tip) && to[tip] == inc[who[to[tip]]] ->
            high = who[to[tip]];
            if
            :: decline -> decline_it(high, tip); spread(); agree()
            :: else -> sign(high, inc[high], ACCEPT, tip, 0, HANDED_OVER(tip)); spread(); agree()
            fi
        :: !PROVEN(ROOT, tip) && kind[tip] == OFFER && !IN(answers[giver], tip) && to[tip] != inc[who[to[tip]]] && \
            IS_ARBITER(giver, ORIGIN(theme)) && by[tip] == inc[giver] -> agent = giver
        :: !PROVEN(ROOT, tip) && kind[tip] != OFFER && by[tip] == inc[giver] ->
            settled = true
        :: else -> lowest_above(giver)           /* of a dead incarnation; of one that is proven, by persons (R9) */
        fi;
        if
        :: agent != NONE -> claim_as(agent)
        :: else
        fi
    :: else -> break
    od;
    assert(settled)
}

inline tidy() {                                  /* R8: what lost is disposed of by name */
    tip = HEAD(ROOT, theme);
    if
    :: tip != NONE ->
        giver = OWNER(tip);
        orphans(giver, theme);
        if
        :: rest != 0 ->
            named[rows] = rest;
            sign(giver, inc[giver], DISPOSE, HEAD(giver, theme), 0, NEXT(HEAD(giver, theme)));
            spread()
        :: else
        fi
    :: else
    fi
}

inline judge() {
    agree();
    unit = 0;
    mate = 0;
    do
    :: unit < N ->
        assert(live[unit] && NEWEST(unit, unit) == inc[unit]);
        if
        :: WRITES(unit, HEAD(unit, theme)) -> mate++
        :: else
        fi;
        if
        :: HEAD(unit, theme) != NONE ->
            orphans(unit, theme);
            assert(rest == 0)                                   /* I7, I8 */
        :: else
        fi;
        unit++
    :: else -> break
    od;
    assert(mate == 1 || HEAD(ROOT, theme) == NONE)                    /* I11 */
}

inline calm() {
    confront();
    spread();
    revive();
    spread();
    theme = 0;
    do
    :: theme < TOPICS -> agree(); settle(); tidy(); theme++
    :: else -> break
    od;
    theme = 0;
    do
    :: theme < TOPICS -> judge(); theme++
    :: else -> break
    od;
    wipe()
}

inline wipe() {                                  /* all ends are one state */
    item = 0;
    do
    :: item < ROWS ->
        kind[item] = 0; by[item] = 0; prev[item] = 0; to[item] = 0; pos[item] = 0; named[item] = 0;
#if TOPICS > 1
        topic[item] = 0;
#endif
        item++
    :: else -> break
    od;
    nth = 0;
    do
    :: nth < LIVES -> who[nth] = 0; number[nth] = 0; nonce[nth] = 0; nth++
    :: else -> break
    od;
    unit = 0;
    do
    :: unit < N ->
        knows[unit] = 0; answers[unit] = 0; inc[unit] = 0; live[unit] = true; asks[unit] = 0; healed[unit] = 0; drawn[unit] = 0;
        b_knows[unit] = 0; b_answers[unit] = 0; b_inc[unit] = 0;
#ifdef HELD
        held[unit] = 0;
#endif
#ifdef BARRED_UNTIL_CLAIM
        bar[unit] = 0;
#endif
        peer = 0;
        do
        :: peer < N -> NEWEST(unit, peer) = 0; b_newest[unit * N + peer] = 0; peer++
        :: else -> break
        od;
        theme = 0;
        do
        :: theme < TOPICS -> HEAD(unit, theme) = NONE; theme++
        :: else -> break
        od;
        unit++
    :: else -> break
    od;
#if SLIPS > 0
    pair = 0; liar = 0;
#endif
    rows = 0; lives = N; declined = 0; taken = 0; slipped = 0;
    restores = 0; slips = 0; backups = 0; claims = 0; waivers = 0; decline = false
}
