#!/usr/bin/perl

# What a call costs, what loading costs, and the size of the shared object, against the yardstick
# in bench/cxs: a C XS module with the same two functions and the same constants, which is built
# in a temporary directory for this. bench/README explains.
#
#     perl -Mblib bench/xsub.pl [--runs N] [--loads N]

use strict;
use warnings;

use Config;
use Cwd qw(abs_path);
use File::Basename qw(basename dirname);
use File::Copy qw(copy);
use File::Path qw(make_path);
use File::Temp;
use Getopt::Long;
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

my ($here, $lib);
BEGIN { $here = dirname(abs_path(__FILE__)); $lib = "$here/lib" }
use lib $lib;
use Bench qw(alternate goal median percentile);

my ($runs, $loads) = (200, 200);
GetOptions('runs=i' => \$runs, 'loads=i' => \$loads) and !@ARGV && $runs > 0 && $loads > 0
    or die "usage: $0 [--runs N] [--loads N]\n";

# Builds the yardstick and returns the directory that it is in.
sub build_yardstick {
    my $dir = File::Temp->newdir('cxs-XXXXXX', TMPDIR => 1);
    make_path("$dir/lib");
    for my $file (qw(Makefile.PL CXS.xs lib/CXS.pm)) {
        copy("$here/cxs/$file", "$dir/$file") or die "$file: $!\n";
    }
    my $log = `cd "$dir" && "$^X" Makefile.PL 2>&1 && $Config{make} 2>&1`;
    die "the C XS yardstick cannot be built:\n$log" if $? != 0;
    return $dir;
}

my $yardstick = build_yardstick();

require Linux::Clone;
{
    local @INC = ("$yardstick/blib/lib", "$yardstick/blib/arch", @INC);
    require CXS;
}

# Both must define the same constants with the same values, and the two functions.
{
    no strict 'refs';
    my ($ours, $theirs) = map {
        my $package = $_;
        join ' ', sort map { "$_=" . (/^[A-Z_]/ ? &{"${package}::$_"}() : 'function') }
            grep { /^(?:clone|unshare|[A-Z_]+)\z/ && defined &{"${package}::$_"} }
            grep { !/^(?:BEGIN|END)\z/ } keys %{"${package}::"};
    } qw(Linux::Clone CXS);
    die "bench/cxs/CXS.xs is not what Linux::Clone is:\n$ours\n$theirs\n" if $ours ne $theirs;
}

# Copies both to where `make install` would put them, .pm file and shared object below one
# directory: that is where XSLoader looks first. (From blib it finds nothing there and loads
# DynaLoader, which takes longer than the modules do.)
my $installed = File::Temp->newdir('cxs-XXXXXX', TMPDIR => 1);
my %object;
for my $module (qw(CXS Linux::Clone)) {
    my $path = $module =~ s{::}{/}gr;
    my ($name) = $path =~ m{(\w+)\z};
    my ($object) = grep { m{/auto/$path/$name\.\w+\z} } @DynaLoader::dl_shared_objects
        or die "$module has no shared object\n";
    $object{$module} = "$installed/$module/auto/$path/" . basename($object);
    # and the files that it loads of its own
    for my $file (grep { m{^\Q$path\E(?:\.pm$|/)} } keys %INC) {
        make_path(dirname("$installed/$module/$file"));
        copy($INC{$file}, "$installed/$module/$file") or die "$file: $!\n";
    }
    make_path(dirname($object{$module}));
    copy($object, $object{$module}) or die "$object: $!\n";
}

# Prints one line of a table.
sub row {
    my ($what, $values) = @_;
    printf "  %-38s %10.1f %10.1f %10.1f\n", $what, map { percentile($_, $values) } 50, 10, 90;
    return;
}

# --- calls ---

# A batch is long enough that the clock costs nothing and short enough that few are interrupted.
my $calls   = 2000;
my @batches = (
    [ 'empty loop'               => sub { for (1 .. $calls) { } } ],
    [ 'CXS::unshare(0)'          => sub { for (1 .. $calls) { CXS::unshare(0) } } ],
    [ 'Linux::Clone::unshare(0)' => sub { for (1 .. $calls) { Linux::Clone::unshare(0) } } ],
);

printf "calls: %d batches of %d, alternating\n", $runs, $calls;
printf "  %-38s %10s %10s %10s\n", '', 'median ns', 'p10', 'p90';
my @times = map { [ map { 1e9 * $_ / $calls } @$_ ] }
    alternate($runs, [ map { $_->[1] } @batches ]);
row($batches[$_][0], $times[$_]) for 0 .. $#batches;
my ($empty, $c_call, $our_call) = map { median($_) } @times;

# --- loading ---

# Runs perl with these arguments and with what is installed of $module. Returns what it printed
# and how long it took from fork to exit, in seconds.
sub timed_perl {
    my ($module, @arguments) = @_;
    my $start = clock_gettime(CLOCK_MONOTONIC);
    open my $fh, '-|', $^X, "-I$installed/$module", @arguments or die "$^X: $!\n";
    my $text = do { local $/; <$fh> };
    close $fh or die "$^X @arguments: status $?\n";
    return ($text, clock_gettime(CLOCK_MONOTONIC) - $start);
}

# The clock is around require alone; strict, warnings and XSLoader, which all XS modules use, are
# there before it.
my $clocked = <<'PERL';
use strict; use warnings; use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC); require XSLoader;
my $file = shift;
my $start = clock_gettime(CLOCK_MONOTONIC);
require $file;
printf "%.9f", clock_gettime(CLOCK_MONOTONIC) - $start;
PERL

my @modules = ('CXS', 'Linux::Clone');
my %loading = map { $_ => [] } @modules;
my %process = map { $_ => [] } @modules, 'nothing';
for my $run (0 .. $loads - 1) {
    for my $module ($run % 2 ? reverse @modules : @modules) {
        my $file = $module =~ s{::}{/}gr . '.pm';
        my ($seconds) = timed_perl($module, '-e', $clocked, $file);
        push @{ $loading{$module} }, 1e6 * $seconds;
    }
    for my $module ($run % 2 ? ('nothing', reverse @modules) : (@modules, 'nothing')) {
        my @load = $module eq 'nothing' ? () : "-M$module";
        my (undef, $seconds) = timed_perl($module, @load, '-e', '1');
        push @{ $process{$module} }, 1e6 * $seconds;
    }
}

printf "loading: %d fresh processes each, alternating\n", $loads;
printf "  %-38s %10s %10s %10s\n", '', 'median us', 'p10', 'p90';
row("require $_, within the process", $loading{$_}) for @modules;
row('perl -e 1, whole process', $process{nothing});
row("perl -M$_ -e 1, whole process", $process{$_}) for @modules;
my ($c_load, $our_load) = map { median($loading{$_}) } @modules;
my ($nothing, $c_process, $our_process) = map { median($process{$_}) } 'nothing', @modules;

# --- size ---

printf "shared objects: Linux::Clone %.1f KB, CXS %.1f KB\n",
    map { (-s) / 1024 } @object{qw(Linux::Clone CXS)};

print "goals, as ratios of medians\n";
goal('unshare(0) / the same in C XS', $our_call / $c_call, 1.05);
goal('the same without the loop around the calls',
    ($our_call - $empty) / ($c_call - $empty), 1.05);
goal('loading Linux::Clone / loading C XS', $our_load / $c_load, 1.2);
goal('whole processes, each less perl -e 1',
    ($our_process - $nothing) / ($c_process - $nothing), 1.2);
goal('size of the shared object', (-s $object{'Linux::Clone'}) / 1024, 400, ' KB');
