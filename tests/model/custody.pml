/* Custody, restore and incarnation. README.md says which step models which rule, and what is left out.

   Signed statements are never taken back: each is one row of a table, whoever lost it. A node's disk is the set of rows it
   knows. So a statement may reach anybody at any time later, twice, out of order, or never: that is the network. */
#include "tree.h"

#ifndef TOPICS
#define TOPICS 1
#endif
#ifndef ENTRIES
#define ENTRIES 5        /* signed at most before the calm, all topics together, `opened` included */
#endif
#ifndef RESTORES
#define RESTORES 1       /* noticed ones, all nodes together */
#endif
#ifndef RESTORABLE
#define RESTORABLE ((1 << N) - 1)
#endif
#ifndef SLIPS
#define SLIPS 0          /* restores that nobody notices at once */
#endif
#ifndef BACKUPS
#define BACKUPS 1        /* besides the first, which is of the empty node */
#endif
#ifndef CLAIMS
#define CLAIMS 1         /* by persons; the calm makes its own */
#endif
#ifndef WAIVERS
#define WAIVERS 0
#endif
#ifndef GRANTS
#define GRANTS (RESTORES + SLIPS + 1)
#endif
#ifndef ORIGIN0
#define ORIGIN0 0
#endif
#ifndef ORIGIN1
#define ORIGIN1 1
#endif
#define ORIGIN(theme) ((theme) == 0 -> ORIGIN0 : ORIGIN1)

#define ROWS   (ENTRIES + 5 * TOPICS)          /* the calm needs some of its own */
#define LIVES  (N + GRANTS + N)
#define NONE   255

#define IN(set, peer)   (((set) >> (peer)) & 1)

/* A position is (g, k, number, nonce, t, seq) in one integer, so that comparing integers compares left to right. */
#define G_ONE 262144     /* 1 << 18; k << 15, number << 12, nonce << 9, t << 5, seq << 0 */
#define T_ONE 32
#define TERM(spare)   ((spare) >> 5)
#define SEQ(spare)    ((spare) & 31)
#define G(spare)      ((spare) >> 18)
#define AGE(nth)    ((number[nth] << 3) + nonce[nth])    /* the order of incarnations */

mtype = { WORK, OFFER, ACCEPT, RESUME, CLAIM, DISPOSE };

/* --- all that was ever signed --- */
byte  rows;
mtype kind[ROWS];
byte  by[ROWS];          /* the incarnation that signed; it names the node */
byte  prev[ROWS];
byte  to[ROWS];          /* offers: the incarnation it is made to */
int   pos[ROWS];
short declined;          /* offers for which a `declined` was signed */
short named[ROWS];       /* DISPOSE: the orphans it names */

/* --- incarnations: the first of each node, then one for each grant --- */
byte  lives = N;
byte  who[LIVES];
byte  number[LIVES];
byte  nonce[LIVES];
short taken;             /* a life began under it */
byte  drawn[N];          /* nonces drawn so far: never restored, so no nonce is drawn twice */

/* --- the disks --- */
short knows[N];          /* entries */
short answers[N];        /* `declined` known, by offer */
byte  newest[N * N];     /* newest[n * N + x]: the highest incarnation of x that n knows */
byte  inc[N];            /* signs under this one when live */
bool  live[N];
byte  asks[N];           /* not live: the nonce drawn last */
byte  healed[N];         /* not live: neighbours it has become equal with, or a person waived */
byte  head[N * TOPICS];  /* follows from `knows`, kept for speed */
#if SLIPS > 0
short pair;              /* the first two entries of one life at one position, and which life that is */
byte  liar;
#endif
#ifdef HELD
short held[N];           /* kept, never applied */
#endif
#ifdef BARRED_UNTIL_CLAIM
byte  bar[N];            /* may sign again above this g */
#endif

/* --- the backups --- */
short b_knows[N];
short b_answers[N];
byte  b_newest[N * N];
byte  b_inc[N];

/* --- what may still go wrong --- */
byte restores = RESTORES, slips = SLIPS, backups = BACKUPS, claims = CLAIMS, waivers = WAIVERS;
short slipped;           /* incarnations that went on after an unnoticed restore */

/* --- scratch: no part of the state; a breadth-first search cannot do without it and clears it after each step --- */
#ifdef SHORTEST
#define SCRATCH
#define DONE past = 0; agent = 0; child = 0; item = 0; tip = 0; nth = 0; mate = 0; unit = 0; giver = 0; theme = 0; peer = 0; \
    high = 0; tries = 0; found = 0; settled = 0; decline = 0; rest = 0; rest_answers = 0; trunk = 0
#else
#define SCRATCH hidden
#define DONE peer = 0                            /* spin: no step may end in a loop */
#endif
SCRATCH byte past, agent, child, item, tip, nth, mate, unit, giver, theme, peer, high, tries, found, settled, decline;
SCRATCH short rest, rest_answers, trunk;

#if TOPICS == 1
#define TOPIC(row) 0
#else
byte topic[ROWS];
#define TOPIC(row) topic[row]
#endif
#define HEAD(node, tp)   head[(node) * TOPICS + (tp)]
#define NEWEST(node, of) newest[(node) * N + (of)]
#define OWNER(row)       who[by[row]]

#include "custody_rules.h"
#include "custody_steps.h"
#include "custody_calm.h"

proctype Node(byte me) {
end:
    do
    EACH_TOPIC(WORK_ON)
    OFFERS
    EACH_TOPIC(ACCEPT_OFFER)
    EACH_TOPIC(DECLINE_OFFER)
    EACH_TOPIC(RESUME_AFTER)
    EACH_TOPIC(CLAIM_BY_PERSON)
    EACH_TOPIC(DISPOSE_OF)
    EACH_ROW(GET)
    EACH_ROW(GET_DECLINED)
    EACH_LIFE(GET_GRANT)
    EACH_NODE(HEAL_WITH)
    EACH_NODE(WAIVE)
    ASK
    EACH_LIFE(TAKE)
    KNOWS_A_LATER_SELF
#ifdef OLD_INCARNATION
    GO_ON_AS_BEFORE
#endif
#if defined(WITNESS_NUMBER) || defined(WITNESS_NUMBER_AND_HEAD)
    EACH_NODE(CONSENT)
#endif
#if SLIPS > 0
    EACH_NODE(CALL)
#endif
    od
}

proctype Fault() {
end:
    do
    EACH_NODE(BACKUP)
    EACH_NODE(RESTORE)
#if SLIPS > 0
    EACH_NODE(SLIP)
#endif
    :: d_step { rows > 0 -> decline = false; calm(); DONE }
    :: d_step { rows > 0 -> decline = true; calm(); DONE }
    od
}

#define START(unit) run Node(unit);

init {
    d_step {
        unit = 0;
        do
        :: unit < N ->
            who[unit] = unit;
            number[unit] = 1;
            nonce[unit] = DRAW(unit);
            taken = taken | (1 << unit);
            inc[unit] = unit;
            b_inc[unit] = unit;
            live[unit] = true;
            peer = 0;
            do
            :: peer < N -> NEWEST(unit, peer) = peer; b_newest[unit * N + peer] = peer; peer++
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
        theme = 0;
        do
        :: theme < TOPICS ->
            kind[theme] = WORK;
            by[theme] = ORIGIN(theme);
#if TOPICS > 1
            topic[theme] = theme;
#endif
            rows++;
            agent = ORIGIN(theme);
            store(agent, theme);
            theme++
        :: else -> break
        od;
        DONE
    };
    atomic {
        run Fault();
        EACH_NODE(START)
        skip
    }
}
