/* What nodes compute: heads, who may write, what a signature must never contradict. */

inline learn(node, life) {                       /* the roster: the highest incarnation known of each node */
    if
    :: AGE(life) > AGE(NEWEST(node, who[life])) -> NEWEST(node, who[life]) = life
    :: else
    fi
}

#ifdef TIES_BY_ARRIVAL
#define LARGER(r, s) (pos[r] > pos[s])
#else                                            /* equal only after a slip; the row stands for the identity */
#define LARGER(r, s) (pos[r] > pos[s] || (pos[r] == pos[s] && (r) > (s)))
#endif

inline look(node, row) {                         /* I4: the head is the largest (term, seq) known */
    if
    :: HEAD(node, TOPIC(row)) == NONE -> HEAD(node, TOPIC(row)) = row
    :: else ->
        if
        :: LARGER(row, HEAD(node, TOPIC(row))) -> HEAD(node, TOPIC(row)) = row
        :: else
        fi
    fi
}

#if SLIPS > 0
/* R9: a disk that holds two entries of one life at one position. A tie goes to the larger row on all disks alike: between a
   fork and the claim that ends it nodes may in truth differ, but nobody writes there */
#define PROVEN(node, row) (pair != 0 && (knows[node] & pair) == pair && by[row] == liar)
#else
#define PROVEN(node, row) false
#endif
#ifdef NO_FREEZE
#define FROZEN(node, row) false
#else
#define FROZEN(node, row) PROVEN(node, row)
#endif

inline store(node, row) {                        /* R1, R14: an entry and what it teaches of the roster */
    knows[node] = knows[node] | (1 << (row));
    learn(node, by[row]);
    look(node, row)
}

#define FIRM(life)  (!IN(slipped, life))         /* no promise covers a life that went on after an unnoticed restore */

#ifdef WRITERS_BY_NODE                           /* controls whose first sign would be too easy to catch */
#define SAME_WRITER(r, s) (OWNER(r) == OWNER(s))
#else
#define SAME_WRITER(r, s) (by[r] == by[s])
#endif

#if SLIPS > 0
inline note_pair(row) {
    if
    :: pair == 0 && TOPIC(past) == TOPIC(row) && by[past] == by[row] && pos[past] == pos[row] ->
        pair = (1 << past) | (1 << (row));
        liar = by[row]
    :: else
    fi
}
#else
#define note_pair(row) skip
#endif

inline check_new(row) {                          /* I1, I2, I3 against everything ever signed */
    past = 0;
    do
    :: past < row ->
        if
        :: past >= TOPICS && TOPIC(past) == TOPIC(row) && FIRM(by[past]) && FIRM(by[row]) ->
            assert(TERM(pos[past]) != TERM(pos[row]) || SAME_WRITER(past, row));     /* I2: one writer a term */
            assert(pos[past] != pos[row]);                                        /* I3: one entry a position */
            assert(!(kind[past] == ACCEPT && kind[row] == ACCEPT && prev[past] == prev[row] && by[past] == by[row])) /* I1 */
        :: else
        fi;
        note_pair(row);
        past++
    :: else -> break
    od;
    assert(kind[row] != ACCEPT || !IN(declined, prev[row]) || !FIRM(by[row]))  /* I1: accepted what was declined */
}

#if TOPICS == 1
#define topic_of(after) skip
#else
#define topic_of(after) topic[rows] = topic[after]
#endif

inline sign(node, life, what, after, offered_to, where) {
    assert(what == CLAIM || !PROVEN(node, after));  /* R9: who knows a proof writes nothing there but a claim */
    kind[rows] = what;
    by[rows] = life;
    prev[rows] = after;
    to[rows] = offered_to;
    pos[rows] = where;
    topic_of(after);
    check_new(rows);
    knows[node] = knows[node] | (1 << rows);
    look(node, rows);
    rows++
}

#define NEXT(row)        (pos[row] + 1)                                   /* same term */
#define HANDED_OVER(row) (pos[row] + T_ONE + 1)                           /* t + 1 */
#ifdef CLAIM_WITHOUT_INCARNATION
#define CLAIMED(row, node) ((G(pos[row]) + 1) * G_ONE + (RANK(node) << 15) + SEQ(pos[row]) + 1)
#else
#define CLAIMED(row, node) ((G(pos[row]) + 1) * G_ONE + (RANK(node) << 15) + (AGE(inc[node]) << 9) + SEQ(pos[row]) + 1)
#endif

/* the writer of the chain that ends in `row` (SPEC 5.1) */
#define WRITES(node, row) (row != NONE && kind[row] != OFFER && by[row] == inc[node])

/* SPEC 5.3 `claimed`: from a node below, from an earlier life of its own, from its own offer to a dead incarnation */
#ifdef NO_CLAIM_FROM_OWN_OFFER
#define DEAD_OFFER(node, row) false
#else
#define DEAD_OFFER(node, row) (kind[row] == OFFER && NEWEST(node, who[to[row]]) != to[row])
#endif
#ifdef NO_CLAIM_FROM_EARLIER_SELF
#define EARLIER_SELF(node, row) false
#else
#define EARLIER_SELF(node, row) (OWNER(row) == node && AGE(by[row]) < AGE(inc[node]))
#endif
#define MAY_CLAIM(node, row) (IS_ARBITER(node, ORIGIN(TOPIC(row))) && \
    (BELOW(node, OWNER(row)) || EARLIER_SELF(node, row) || (OWNER(row) == node && DEAD_OFFER(node, row))))

/* `path` becomes the canonical chain of a node, `all` what stands beside it undisposed */
inline orphans(node, tp) {
    trunk = 0;
    rest = knows[node];
    tip = HEAD(node, tp);
    do
    :: trunk = trunk | (1 << tip);
        if
        :: kind[tip] == DISPOSE -> rest = rest & ~named[tip]
        :: else
        fi;
        if
        :: tip < TOPICS -> break
        :: else -> tip = prev[tip]
        fi
    od;
    rest = rest & ~trunk;
    item = 0;
    do
    :: item < rows ->
        if
        :: TOPIC(item) != tp -> rest = rest & ~(1 << item)
        :: else
        fi;
        item++
    :: else -> break
    od
}

/* both disks hold what either held (R12) */
inline equalize(one, other) {
    item = 0;
    do
    :: item < rows ->
        if
        :: IN(knows[one], item) && !IN(knows[other], item) -> store(other, item)
        :: IN(knows[other], item) && !IN(knows[one], item) -> store(one, item)
        :: else
        fi;
        item++
    :: else -> break
    od;
    answers[one] = answers[one] | answers[other];
    answers[other] = answers[one];
    peer = 0;
    do
    :: peer < N ->
        learn(one, NEWEST(other, peer));
        learn(other, NEWEST(one, peer));
        peer++
    :: else -> break
    od
}
