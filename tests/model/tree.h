/* Which tree a run is about. Parents have higher numbers than their children; the root is N - 1.
   PARENT(n)    above n (never asked of the root)
   BELOW(a, x)  x lies below a
   NEAR(n)      the set of n's neighbours
   RANK(n)      tier: 1 county, 2 city, 3 province */
#ifndef TREE
#define TREE 0
#endif

#if TREE == 0 /* county 0 - city 1 - root 2 */
#define N 3
#define PARENT(unit)   ((unit) + 1)
#define BELOW(agent, peer) ((agent) > (peer))
#define NEAR(unit)     ((unit) == 1 -> 5 : 2)
#define RANK(unit)     ((unit) + 1)
#elif TREE == 1 /* root 4 with four children 0 to 3, of which 0 to 2 are its witnesses */
#define N 5
#define PARENT(unit)   4
#define BELOW(agent, peer) ((agent) == 4 && (peer) != 4)
#define NEAR(unit)     ((unit) == 4 -> 15 : 16)
#define RANK(unit)     ((unit) == 4 -> 3 : 2)
#else /* root 3 over city 1 with county 0, and over city 2 */
#define N 4
#define PARENT(unit)   ((unit) == 0 -> 1 : 3)
#define BELOW(agent, peer) (((agent) == 3 && (peer) != 3) || ((agent) == 1 && (peer) == 0))
#define NEAR(unit)     ((unit) == 0 -> 2 : ((unit) == 1 -> 9 : ((unit) == 2 -> 8 : 6)))
#define RANK(unit)     ((unit) == 0 -> 1 : ((unit) == 3 -> 3 : 2))
#endif

#define ROOT     (N - 1)
#define PARENT_OF_MANY(unit) ((unit) == ROOT || (NEAR(unit) & ((1 << (unit)) - 1)) != 0)
#define IS_ARBITER(agent, origin) (BELOW(agent, origin) || ((agent) == (origin) && PARENT_OF_MANY(origin)))
