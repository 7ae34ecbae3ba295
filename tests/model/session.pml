/* Sessions, challenges and instances: one child and its parent, no statements. What was recorded and is sent again must
   change and read nothing; a restart must never be taken for a clone; a clone must be found once both copies have called.
   Every request and every reply may come late, twice, out of order or never. README.md maps the steps to the rules. */
#ifndef RESTARTS
#define RESTARTS 1       /* of the child, both copies together */
#endif
#ifndef PARENT_RESTARTS
#define PARENT_RESTARTS 1
#endif
#ifndef CLONES
#define CLONES 0         /* 1: the child's machine may be copied, and both go on */
#endif
#ifndef REQUESTS
#define REQUESTS 4
#endif
#ifndef REPLIES
#define REPLIES 5
#endif
#define LANES 2
#define COPIES 2
#define INSTANCES (3 + RESTARTS + CLONES)        /* from 1; a copy draws one of its own when it starts */
#define PARENTS   (2 + PARENT_RESTARTS)
#define MARK      200    /* challenges of the last check, later than all others */

/* documents ever sent; challenge n is the one given in reply n */
byte requests, replies;
byte q_instance[REQUESTS + 1], q_lane[REQUESTS + 1], q_answers[REQUESTS + 1];
bool applied[REQUESTS + 1];
byte a_request[REPLIES + 1], a_instance[REPLIES + 1];
bool unused[REPLIES + 1];

/* the copies of the child */
bool up[COPIES];
byte instance[COPIES];
byte waits_for[COPIES * LANES];                  /* the request a lane has out; 0: none */
byte holds[COPIES * LANES];                      /* the challenge it got last */
byte instances = 1;

/* the parent, durably: the instance heard last, since which challenge, and when each other one was replaced */
byte last, since;
byte replaced[INSTANCES + 1];                    /* newest challenge given then, + 1; 0: not replaced */
bool stopped;
byte parent_instance = 1;

/* the child, durably: the same about its parent, by request in place of challenge */
byte p_last, p_since;
byte p_replaced[PARENTS + 1];
bool p_stopped;

byte restarts = RESTARTS, parent_restarts = PARENT_RESTARTS, clones = CLONES;
bool over;
byte who_calls;

#define OUT(copy, lane)  waits_for[(copy) * LANES + (lane)]
#define HAS(copy, lane)  holds[(copy) * LANES + (lane)]

#ifdef UNKNOWN_ALWAYS_REPLACES                   /* SPEC 14.8 as first written */
#define SUCCEEDS(proof, from) true
#else
#define SUCCEEDS(proof, from) ((proof) > (from))
#endif
#ifdef TRUST_A_CLONE
#define LATER(proof, than) false
#else
#define LATER(proof, than) ((proof) + 1 > (than))
#endif

inline hear(x, proof, newest) {                  /* R11, at the parent: x answered the challenge `proof` */
    if
    :: x == last -> skip
    :: x != last && replaced[x] != 0 ->
        if
        :: LATER(proof, replaced[x]) -> stopped = true
        :: else -> skip
        fi
    :: x != last && replaced[x] == 0 ->
        if
        :: last == 0 || SUCCEEDS(proof, since) ->
            if
            :: last != 0 -> replaced[last] = (newest) + 1
            :: else -> skip
            fi;
            last = x;
            since = newest
        :: else -> skip                           /* earlier or later start? it says nothing yet */
        fi
    fi
}

inline hear_parent(x, asked) {                   /* R11, at the child: x replied to the request `asked` */
    if
    :: x == p_last -> skip
    :: x != p_last && p_replaced[x] != 0 ->
        if
#ifdef ANY_REPLY_OF_A_REPLACED_ONE               /* SPEC 14.8 as first written */
        :: true -> p_stopped = true
#else
        :: asked + 1 > p_replaced[x] -> p_stopped = true
        :: else -> skip
#endif
        fi
    :: x != p_last && p_replaced[x] == 0 ->
        if
        :: p_last == 0 || SUCCEEDS(asked, p_since) ->
            if
            :: p_last != 0 -> p_replaced[p_last] = requests + 1
            :: else -> skip
            fi;
            p_last = x;
            p_since = requests
        :: else -> skip
        fi
    fi
}

inline call(copy, lane) {
    requests++;
    q_instance[requests] = instance[copy];
    q_lane[requests] = lane;
    q_answers[requests] = HAS(copy, lane);
    OUT(copy, lane) = requests
}

/* the session of a lane is drawn with the instance: a challenge is for one (instance, lane) */
#ifdef CHALLENGE_FOR_ANY_SESSION
#define FOR_THIS_SESSION(n) true
#else
#define FOR_THIS_SESSION(n) (q_instance[a_request[q_answers[n]]] == q_instance[n] && q_lane[a_request[q_answers[n]]] == q_lane[n])
#endif
#ifdef NO_CHALLENGE_NEEDED
#define FRESH(n) true
#else
#define FRESH(n) (q_answers[n] != 0 && unused[q_answers[n]] && FOR_THIS_SESSION(n))
#endif

inline handle(n) {
    if
    :: FRESH(n) ->
#ifndef CHALLENGE_NOT_USED_UP
        unused[q_answers[n]] = false;
#endif
        assert(!applied[n]);                     /* no request is applied, or reads, a second time */
        applied[n] = true;
        hear(q_instance[n], q_answers[n], replies)
    :: else ->
#ifdef ANY_REQUEST_COUNTS
        hear(q_instance[n], replies, replies)
#else
        skip
#endif
    fi;
    if
    :: !stopped ->
        replies++;
        unused[replies] = true;
        a_request[replies] = n;
        a_instance[replies] = parent_instance
    :: else -> skip
    fi
}

#define HANDLE(n) :: d_step { !stopped && (n) <= requests && replies < REPLIES -> handle(n) }
#define CALL(copy, lane) :: d_step { up[copy] && OUT(copy, lane) == 0 && requests < REQUESTS -> call(copy, lane) }
#define GIVE_UP(copy, lane) :: d_step { OUT(copy, lane) != 0 -> OUT(copy, lane) = 0 }
#define READ(n, copy, lane) :: d_step { (n) <= replies && up[copy] && OUT(copy, lane) != 0 && a_request[n] == OUT(copy, lane) -> \
    hear_parent(a_instance[n], a_request[n]); HAS(copy, lane) = n; OUT(copy, lane) = 0 }
#define READS(n) READ(n, 0, 0) READ(n, 0, 1) READ(n, 1, 0) READ(n, 1, 1)

inline start(copy) {
    instance[copy] = instances;
    instances++;
    up[copy] = true;
    OUT(copy, 0) = 0;
    OUT(copy, 1) = 0;
    HAS(copy, 0) = 0;
    HAS(copy, 1) = 0
}

/* The faults end: a copy gets a challenge and answers it. */
inline round_of(copy, challenge) {
    if
    :: !stopped -> hear(instance[copy], challenge, challenge)
    :: else -> skip
    fi
}

active proctype World() {
    d_step { start(0) };
end:
    do
    CALL(0, 0) CALL(0, 1)
    GIVE_UP(0, 0) GIVE_UP(0, 1)
#if CLONES > 0
    CALL(1, 0) CALL(1, 1)
    GIVE_UP(1, 0) GIVE_UP(1, 1)
    :: d_step { clones > 0 -> clones--; start(1) }
#endif
    HANDLE(1) HANDLE(2) HANDLE(3) HANDLE(4)
#if REQUESTS > 4
    HANDLE(5)
#endif
    READS(1) READS(2) READS(3) READS(4) READS(5)
#if REPLIES > 5
    READS(6)
#endif
    :: d_step { restarts > 0 -> restarts--; start(0) }
    :: d_step { parent_restarts > 0 -> parent_restarts--; parent_instance++ }
#if CLONES > 0
    :: d_step { up[1] && !over -> over = true; round_of(0, MARK); round_of(1, MARK + 1); round_of(0, MARK + 2) ; \
                assert(stopped); stopped = true }                              /* found when both have called */
#else
    :: d_step { stopped || p_stopped -> assert(false) }                        /* a restart is no clone */
#endif
    od
}
