/* The stream of record from a child to its parent: positions, hashes, acks, restores of both ends, new incarnations. Any
   document and any ack ever sent may arrive at any time, in any order, again, or never. README.md maps the steps to the
   rules. A hash is the row of a table of (hash before, statement): equal rows are equal hashes, and no others are. */
#ifndef STATEMENTS
#define STATEMENTS 3
#endif
#ifndef RESTORES
#define RESTORES 1       /* noticed, of the child */
#endif
#ifndef PARENT_RESTORES
#define PARENT_RESTORES 1
#endif
#ifndef SLIPS
#define SLIPS 0          /* unnoticed, of the child */
#endif
#ifndef PARENT_SLIPS
#define PARENT_SLIPS 0
#endif
#ifndef BACKUPS
#define BACKUPS 1        /* of each */
#endif
#define LIVES (RESTORES + SLIPS + PARENT_SLIPS + 3)
#define ROWS  (LIVES + STATEMENTS * 4 + 6)
#define IN(set, x) (((set) >> (x)) & 1)
#define ADD(set, x) set = (set) | (1 << (x))

byte rows = LIVES;       /* row n < LIVES: hash_0 of the stream in the child's incarnation n */
byte before[ROWS], says[ROWS], seq[ROWS], life[ROWS];
int  documents[ROWS];    /* documents[tail]: from which rows on such a document was ever sent */
int  acks;               /* rows the parent ever acknowledged */
byte statements;         /* drawn so far, from 1 */
byte lives = 1;          /* incarnations granted */

/* the child's disk */
bool live = true;
byte inc, tail, acked;
short has, waiting;      /* statements; those that came while healing */
byte b_inc, b_tail, b_acked;
short b_has;
/* the parent's disk */
byte p_inc, taken;
short got;
byte pb_inc, pb_taken;
short pb_got;

byte restores = RESTORES, p_restores = PARENT_RESTORES, slips = SLIPS, p_slips = PARENT_SLIPS;
byte backups = BACKUPS, p_backups = BACKUPS;
bool slipped, over;

#ifdef SHORTEST
#define SCRATCH
#define DONE peer = 0; here = 0; fresh = 0; at = 0; tries = 0
#else
#define SCRATCH hidden
#define DONE peer = 0
#endif
SCRATCH byte peer, here, fresh, at, tries;

inline append(base, statement) {                 /* here = the hash after `statement` on `base`; R15 */
    here = LIVES;
    do
    :: here < rows && !(before[here] == base && says[here] == statement) -> here++
    :: else -> break
    od;
    if
    :: here == rows ->
        before[rows] = base;
        says[rows] = statement;
        seq[rows] = seq[base] + 1;
        life[rows] = life[base];
        rows++
    :: else
    fi
}

inline at_seq(from, wanted) {                    /* here = the row with that seq on the way to `from` */
    here = from;
    do
    :: seq[here] > wanted -> here = before[here]
    :: else -> break
    od
}

inline put(statement) {                          /* the outbox: the next position, in the transaction that made it */
    append(tail, statement);
    tail = here
}

inline die() { live = false; waiting = 0 }

#if defined(NO_GAP_CHECK)
#define NEXT_ONE (at > seq[taken])
#else
#define NEXT_ONE (at == seq[taken] + 1)
#endif

inline receive(base, to) {                       /* SPEC 8.4: each position in turn, one transaction */
    at = seq[base] + 1;
    do
    :: at <= seq[to] ->
        at_seq(to, at);
        if
        :: NEXT_ONE ->
            fresh = says[here];
            append(taken, fresh);
            taken = here;
            ADD(got, fresh);
            at_seq(to, at);
            assert(slipped || here == taken)     /* both ends know one stream */
        :: else
        fi;
        at++
    :: else -> break
    od;
    ADD(acks, taken)
}

inline compare() {                               /* SPEC 14.3: until the sets are equal */
    got = got | has;
    has = got
}

inline behind() {                                /* R15 the other way: the child knows more of the parent than it does */
    compare();
    p_inc = inc;
    taken = inc
}

inline renew() {                                 /* R10, R12, SPEC 14.4: healed, granted, streams anew */
    compare();
    inc = lives;
    lives++;
    p_inc = inc;
#ifndef STREAM_NOT_BEGUN_ANEW
    taken = inc;
#endif
    tail = inc;
    acked = inc;
    live = true;
#ifndef FORGETS_WHAT_WAITED
    fresh = 1;
    do
    :: fresh <= STATEMENTS ->
        if
        :: IN(waiting, fresh) -> put(fresh)
        :: else
        fi;
        fresh++
    :: else -> break
    od;
#endif
    has = has | waiting;
    waiting = 0
}

inline read_ack(row) {                           /* SPEC 8.2 */
    if
    :: life[row] != inc -> skip                  /* of another incarnation: it says nothing */
    :: life[row] == inc && seq[row] > seq[tail] ->
        assert(slipped);                         /* never of an honest child */
#ifndef IGNORES_PEER_KNOWS_MORE
        die()
#endif
    :: life[row] == inc && seq[row] <= seq[tail] ->
        at_seq(tail, seq[row]);
        if
        :: here == row ->
#ifdef NEVER_FEEDS_AGAIN
            if
            :: seq[row] > seq[acked] -> acked = row
            :: else
            fi
#else
            acked = row
#endif
        :: else ->
            assert(slipped);
#ifdef NO_HASH_CHECK
            acked = here
#else
            die()                                /* the link stops; a person ends the incarnation */
#endif
        fi
    fi
}

#ifdef OLDER_STREAM_TAKEN
#define FOLLOWS(row) true
#else
#define FOLLOWS(row) (life[row] == p_inc)
#endif

inline bring_child_back() { inc = b_inc; tail = b_tail; acked = b_acked; has = b_has }
inline bring_parent_back() { p_inc = pb_inc; taken = pb_taken; got = pb_got }

/* The faults end: first contact, then as many exchanges as it takes. */
inline calm() {
    tries = 0;
    do
    :: tries < 4 ->
        tries++;
        if
        :: !live -> renew()
        :: else
        fi;
#ifndef LATER_INCARNATION_REFUSED                /* SPEC 8.4 as first written answers 400 and reads nothing */
        if
        :: inc > p_inc -> behind()
        :: else
        fi;
#endif
        if
        :: inc == p_inc ->
            read_ack(taken);
            if
            :: live -> receive(acked, tail)
            :: else
            fi
        :: else
        fi
    :: else -> break
    od;
    assert(live);
    assert(taken == tail);                       /* I6, I12: everything delivered, one stream */
    assert((has & ~got) == 0)                    /* nothing the child has is lost on the way */
}

inline wipe() {                                  /* all ends are one state */
    peer = 0;
    do
    :: peer < ROWS -> before[peer] = 0; says[peer] = 0; seq[peer] = 0; documents[peer] = 0; life[peer] = 0; peer++
    :: else -> break
    od;
    rows = 0; acks = 1; inc = 0; tail = 0; acked = 0; has = 0; waiting = 0; p_inc = 0; taken = 0; got = 0; slipped = false;
    b_inc = 0; b_tail = 0; b_acked = 0; b_has = 0; pb_inc = 0; pb_taken = 0; pb_got = 0;
    restores = 0; p_restores = 0; slips = 0; p_slips = 0; backups = 0; p_backups = 0
}

#define APPLY(base, to) :: d_step { (to) < rows && IN(documents[to], base) && FOLLOWS(to) -> receive(base, to); DONE }
#define ACKED(row) :: d_step { live && (row) < rows && IN(acks, row) && life[row] == inc -> read_ack(row); DONE }
#define L0 LIVES
#define ROWS_FROM(STEP, a) STEP(a, L0) STEP(a, (L0 + 1)) STEP(a, (L0 + 2)) STEP(a, (L0 + 3)) STEP(a, (L0 + 4)) STEP(a, (L0 + 5))
#define EACH_ROW(STEP) STEP(0) STEP(1) STEP(2) STEP(L0) STEP((L0 + 1)) STEP((L0 + 2)) STEP((L0 + 3)) STEP((L0 + 4)) STEP((L0 + 5))

active proctype Link() {
    d_step {
        peer = 0;
        do
        :: peer < LIVES -> life[peer] = peer; peer++
        :: else -> break
        od;
        DONE
    };
end:
    do
    :: d_step { live && statements < STATEMENTS -> statements++; ADD(has, statements); put(statements); DONE }
    :: d_step { !live && statements < STATEMENTS -> statements++; ADD(waiting, statements); DONE }    /* relayed */
    :: d_step { live && !IN(documents[tail], acked) -> ADD(documents[tail], acked); DONE }
    ROWS_FROM(APPLY, 0) ROWS_FROM(APPLY, 1) ROWS_FROM(APPLY, 2)
    ROWS_FROM(APPLY, L0) ROWS_FROM(APPLY, (L0 + 1)) ROWS_FROM(APPLY, (L0 + 2))
    :: d_step { !IN(acks, taken) -> ADD(acks, taken); DONE }
    EACH_ROW(ACKED)
    :: d_step { !live && lives < LIVES - 2 -> renew(); DONE }
    :: d_step { backups > 0 && restores + slips > 0 && live -> backups--; b_inc = inc; b_tail = tail; b_acked = acked; b_has = has; DONE }
    :: d_step { p_backups > 0 && p_restores + p_slips > 0 -> p_backups--; pb_inc = p_inc; pb_taken = taken; pb_got = got; DONE }
    :: d_step { restores > 0 -> restores--; bring_child_back(); die(); DONE }
    :: d_step { slips > 0 && live -> slips--; slipped = true; bring_child_back(); DONE }
    :: d_step { p_restores > 0 -> p_restores--; bring_parent_back(); if :: live && inc > p_inc -> behind() :: else -> compare() fi; DONE }
    :: d_step { p_slips > 0 -> p_slips--; bring_parent_back(); DONE }
    :: d_step { !over -> calm(); over = true; live = false; lives = LIVES; statements = STATEMENTS; wipe(); DONE }
    od
}
