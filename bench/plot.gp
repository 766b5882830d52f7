# Start and wait against the size of the process, for fork and for clone VM|VFORK, from the CSV of
# bench/clone.pl. The picture in the repository is made by
#
#     perl -Mblib bench/clone.pl --csv latency.csv
#     gnuplot -e "csv='latency.csv'; svg='doc/latency.svg'" bench/plot.gp
#
# The axes are logarithmic, so a heap of 0 MB stands where the process is: at its resident size.

if (!exists('csv')) csv = 'latency.csv'
if (!exists('svg')) svg = 'doc/latency.svg'

FORK = 'fork'
VFORK = 'clone VM|VFORK'

set datafile separator comma

# The rows of one measure alone; among others its line would break.
rows(what) = sprintf("< awk -F, -v w='%s' '$2 == w' '%s'", what, csv)

# Column c (1 the heap in MB, 3 the median in microseconds) of the first row of one measure, which
# is the smallest heap, and of the last one.
first(what, c) = system(sprintf("awk -F, -v w='%s' '$2 == w { print $%d; exit }' '%s'", what, c, csv))
last(what, c) = system(sprintf("awk -F, -v w='%s' '$2 == w { v = $%d } END { print v }' '%s'", what, c, csv))

if (first(FORK, 3) eq '' || first(VFORK, 3) eq '') {
    exit error csv . ' has no rows of ' . FORK . ' or none of ' . VFORK
}

small = real(first(VFORK, 3)) / real(first(FORK, 3))
large = real(last(VFORK, 3)) / real(last(FORK, 3))
stats rows(FORK) using 7:3 name 'F' nooutput
stats rows(VFORK) using 7:3 name 'V' nooutput

set terminal svg size 720,480 font 'sans-serif,14' background '#ffffff' noenhanced
set output svg

set title sprintf("Start a child and wait for it\nclone VM|VFORK takes %.3f of fork's time at %s MB of heap, %.4f at %s MB", \
    small, first(FORK, 1), large, last(FORK, 1))
set xlabel 'resident size of the process (MB)'
set ylabel 'median time (µs)'
set logscale xy 10
set xrange [F_min_x / 1.5 : F_max_x * 1.5]
set yrange [10 ** floor(log10(V_min_y)) : 10 ** ceil(log10(F_max_y))]
set format y '%.0f'
set grid xtics ytics linecolor '#cccccc' linewidth 1
set border 3
set tics nomirror
set key top left

set style line 1 linecolor '#b2182b' linewidth 2 pointtype 7 pointsize 0.7
set style line 2 linecolor '#2166ac' linewidth 2 pointtype 5 pointsize 0.7

plot rows(FORK) using 7:3 with linespoints linestyle 1 title FORK, \
     rows(VFORK) using 7:3 with linespoints linestyle 2 title VFORK
