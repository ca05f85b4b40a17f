"""The predictions of chapter 10, for `ch10_kernels.py`, which holds its exercises and imports this.

The name does not begin with "ch10_", because a chapter has one such file. Standard library only.
"""

from __future__ import annotations

from course.checking.exercise import Option, Prediction

PREDICTIONS = [
    Prediction(
        id="ch10-predict_mask",
        question=(
            "We leave out `if (i < n)`, so that 1,024 threads write into a result of 1,000 "
            "numbers. What happens?"
        ),
        options=[
            Option(
                "an error: index out of range",
                "Python would say so, because a list knows its length. A kernel gets an address, "
                "and an address has no length. Whoever knows the length has to write it down: "
                "that is what `if (i < n)` is, and the mask in Triton.",
            ),
            Option(
                "the 1,000 numbers are right, and 24 numbers behind them are overwritten",
                "Each thread writes to the address that it computed. 24 of them compute addresses "
                "behind the end, which belong to something else. The result is right, and the "
                "damage shows up elsewhere, if at all.",
                right=True,
            ),
            Option(
                "the 1,000 numbers are right, and the surplus threads do nothing",
                "Nobody tells them to do nothing. Threads come in whole blocks, and a thread knows "
                "only its own number. Whether there is a place for its result is for the kernel to "
                "ask.",
            ),
            Option(
                "the last block is wrong",
                "The threads of a block do not disturb each other here: each writes one number, "
                "to an address of its own. The first 232 of the last block write where they "
                "should. What do the other 24 do?",
            ),
        ],
    ),
    Prediction(
        id="ch10-predict_rows",
        question=(
            "Both kernels read each number of the matrix once. How many sectors does the first, "
            "with a thread for each row, read in all, compared with the second, with a thread for "
            "each column?"
        ),
        options=[
            Option(
                "eight times as many",
                "In one step, 32 neighbouring threads of the first kernel read 32 different rows: "
                "a sector of 32 bytes for each number of 4. In the second they read 32 neighbours "
                "in one row: eight numbers share a sector.",
                right=True,
            ),
            Option(
                "as many: each number is read once",
                "That would be so if memory handed out single numbers. It hands out sectors of 32 "
                "bytes, and the 32 threads of a warp read at the same time. In how many sectors do "
                "their 32 numbers lie?",
            ),
            Option(
                "fewer: a thread goes along its row, where numbers are neighbours",
                "That is how a CPU likes it, where one thread reads one number after the other. "
                "Here 32 threads read at the same time, each in its own row. What counts is how "
                "the addresses of one moment lie to each other.",
            ),
            Option(
                "32 times as many",
                "A warp of the first kernel does touch 32 sectors in each step. But a warp of the "
                "second does not get by with one: 32 numbers of 4 bytes are 128 bytes, and that is "
                "four sectors.",
            ),
        ],
    ),
    Prediction(
        id="ch10-predict_barrier",
        question=(
            "We delete `__syncthreads()` and run the kernel in three orders of threads: forward, "
            "in reverse, at random. Which sums come out right?"
        ),
        options=[
            Option(
                "all three: here the threads run one after the other anyway",
                "One after the other, but which first? Without a barrier a thread runs to the end "
                "of the kernel before the next one begins. Forward, thread 0 adds up numbers that "
                "no other thread has stored yet.",
            ),
            Option(
                "none",
                "It might as well have been so. But in reverse order thread 255 stores first, and "
                "thread 0 comes last: each finds what it needs already there. The mistake does not "
                "show, and that is worse than a wrong sum.",
            ),
            Option(
                "the one in reverse order, by luck",
                "Thread t needs the sums of threads above it. In reverse order those have run to "
                "their end when t begins. Forward, thread 0 comes first and finds nothing; at "
                "random, some find what they need and some do not.",
                right=True,
            ),
            Option(
                "the one forward: that is the order the kernel was written for",
                "Thread 0 needs the number of thread 128, which in forward order has not stored it "
                "yet. It is the other way round: each thread needs what threads with higher "
                "numbers do.",
            ),
        ],
    ),
    Prediction(
        id="ch10-predict_softmax",
        question=(
            "Line by line, softmax moves eight arrays of M rows of N numbers. How few can a single "
            "kernel move, if a row fits into registers?"
        ),
        options=[
            Option(
                "five: one for each line",
                "The lines are still computed, but what a line hands to the next need not go to "
                "memory. It stays in registers. What must come from memory in any case, and what "
                "must go there?",
            ),
            Option(
                "four: the row is read for the maximum, for the sum and for the result, then "
                "written",
                "That is a kernel without room for a row, like version 2 in our CUDA file. If the "
                "row stays in registers, the second and third reading are from there.",
            ),
            Option(
                "eight: the arithmetic is the same",
                "The arithmetic is. But most of those eight arrays are handed from one line to the "
                "next, through memory and back. Within one kernel they stay in registers.",
            ),
            Option(
                "two: x is read once, y is written once",
                "Everything between stays in registers. That is a quarter of the traffic, and as "
                "softmax does little arithmetic for each byte, close to a quarter of the time.",
                right=True,
            ),
        ],
    ),
    Prediction(
        id="ch10-predict_recompute",
        question=(
            "The forward pass of flash attention has not stored the softmax, of T rows and T "
            "columns. The backward pass needs it. Where does it get it from?"
        ),
        options=[
            Option(
                "it is stored after all, when gradients are wanted",
                "That is what torch's operators one by one do, and at T = 8,192 it takes half a "
                "gigabyte for each head. Flash attention keeps one number for each row. What can "
                "be done with that number, q and k?",
            ),
            Option(
                "it computes it a second time, from q, k and one stored number for each row",
                "With lse known, exp(s - lse) needs no maximum and no sum any more, so each block "
                "of it can be computed alone, used and forgotten. More arithmetic, and far fewer "
                "bytes.",
                right=True,
            ),
            Option(
                "it does without: the gradient needs only the result and its gradient",
                "For one of the sums that is so: D, the sum of dout times out along a row. But the "
                "gradients by v, by q and by k each are products with the softmax or with "
                "something made from it.",
            ),
            Option(
                "it divides the result by the values",
                "A row of the result is a mean of T values, of 64 numbers each: T weights cannot "
                "be found from 64 numbers. But the weights can be computed anew. From what?",
            ),
        ],
    ),
]
