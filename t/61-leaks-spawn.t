# spawn leaves nothing behind: thousands of children in one process, and the calls that fail.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use CloneTest qw(growth namespace_flags);
use File::Temp ();
use SpawnTest;

my $flat = '0 0 0 0';
my $dir = File::Temp->newdir;
mkdir "$dir/proc" or die $!;
my @user = $> == 0 ? () : (uid_map => 'root', gid_map => 'root');
open my $null, '+<', '/dev/null' or die $!;
my $no = "$dir/no";
my $closed = do { open my $fh, '<', '/dev/null' or die $!; close $fh; $fh };

# Each: how often, the end that is expected, and the options. A namespace takes the kernel long.
my %kinds = (
    'code'                => [ 2000, 'exit 3', code => sub { 3 } ],
    'code that exits'     => [ 500,  'exit 3', code => sub { exit 3 } ],
    'code that is killed' => [ 500,  'signal 9', code => sub { kill KILL => $$; sleep 9 } ],
    'a program'           => [ 2000, 'exit 3', exec => [ 'sh', '-c', 'exit 3' ] ],
    'a program with all that is for one' => [ 500,  'exit 0', exec => [ 'true', 1, 'x' x 1000 ], env => { PATH => '/bin:/usr/bin', A => 'x' x 1000 }, cwd => '/', stdin => $null, stdout => $null, stderr => $null ],
    'a small stack'       => [ 500,  'exit 3', code => sub { 3 }, stack_size => 1 ],
    'maps, code'          => [ 500,  'exit 3', code => sub { 3 }, uid_map => 'root', gid_map => 'root' ],
    'maps, a program'     => [ 500,  'exit 0', exec => ['true'], uid_map => 'self', gid_map => 'self' ],
    'parent_death'        => [ 500,  'exit 3', code => sub { 3 }, parent_death => 'KILL' ],
    'hostname'            => [ 500,  'exit 0', exec => ['true'], @user, hostname => 'x' ],
    'time_offsets'        => [ 500,  'exit 3', code => sub { 3 }, @user, time_offsets => { boottime => 0.5 } ],
    'time_offsets, a program' => [ 500, 'exit 0', exec => ['true'], @user, time_offsets => { boottime => 0.5 } ],
    'loopback'            => [ 50,   'exit 3', code => sub { 3 }, @user, loopback => 1 ],
    'root, mount_proc'    => [ 200,  'exit 3', code => sub { 3 }, @user, root => "$dir", mount_proc => 1 ],
    # what is refused, at each step
    'no program'          => [ 1000, 'errno 2', exec => [$no] ],
    'no program, as a copy' => [ 500,  'errno 2', exec => [$no], uid_map => 'root', gid_map => 'root', flags => namespace_flags(Linux::Clone::NEWTIME) ],
    'no cwd'              => [ 1000, 'errno 2', exec => ['true'], cwd => $no ],
    'no stdout'           => [ 500,  'errno 9', exec => ['true'], stdout => 999 ],
    'a closed handle'     => [ 1000, 'errno 9', exec => ['true'], stdout => $closed ],
    'no root, code'       => [ 500,  'errno 2', code => sub { 0 }, @user, root => $no ],
    'no root, a program'  => [ 500,  'errno 2', exec => ['true'], @user, root => $no ],
    'no /proc'            => [ 200,  'errno 2', exec => ['true'], @user, root => "$dir/proc", mount_proc => 1 ],
    'a clock below 0'     => [ 500,  'errno 34', code => sub { 0 }, @user, time_offsets => { monotonic => -1e9 } ],
    'rows that overlap'   => [ 500,  $> == 0 ? 'errno 22' : 'errno 1', code => sub { 0 }, uid_map => [ [ 0, $>, 1 ], [ 0, 5, 1 ] ] ],
    'what clone refuses'  => [ 1000, 'errno', code => sub { 0 }, set_tid => [ (1) x 40 ] ],
    'too large a stack'   => [ 1000, 'errno 12', code => sub { 0 }, stack_size => 1 << 60 ],
);
for my $kind (sort keys %kinds) {
    my ($n, $expected, @options) = @{ $kinds{$kind} };
    my $first = end(@options);
    SKIP: {
        skip "the kernel refuses that: $first", 1 if $expected !~ /^errno/ && $first =~ /^errno \d+: \S+ clone: /;
        my ($wrong) = (0);
        my $grown = growth($n, sub { end(@options) =~ /^$expected\b/ or $wrong++ });
        is "$wrong wrong, $grown", "0 wrong, $flat", "$n times $kind" or diag $first;
    }
}
my %others = (
    'croaks'         => sub { for my $bad ([ code => 5 ], [ exec => [ 'a', undef ] ], [ exec => ['a'], env => { A => "\0" } ], [ code => sub { 0 }, uid_map => [ [ 0, 0, 1 ], [1] ] ], [ exec => ['a'], code => sub { 0 } ]) { eval { spawn(@$bad); 1 } and die } },
    'kill_on_destroy' => sub { spawn(code => sub { sleep 9 })->kill_on_destroy('KILL') },
    'terminate'      => sub { my $child = spawn(code => sub { $SIG{TERM} = 'DEFAULT'; sleep 9 }); $child->terminate('TERM', 5); $child->wait(9) },
    'a short wait'   => sub { my $child = spawn(code => sub { sleep 9 }); $child->wait($_) for 0, 0.0001; eval { $child->wait(-1) }; $child->kill('KILL'); $child->wait(9) },
    'not kept'       => sub { spawn(exec => ['true']); wait },
    'kept elsewhere' => sub { my $child = spawn(exec => ['true']); my $pidfd = $child->pidfd; undef $child; wait },
    'methods'        => sub { my $child = spawn(code => sub { 0 }); $child->running; $child->kill(0); eval { $child->kill('NO') }; eval { $child->kill_on_destroy(0) }; $child->wait; $child->wait; $child->kill(0) },
    'waited for by somebody else' => sub { my $child = spawn(code => sub { 0 }); waitpid $child->pid, 0; $child->wait; $child->wait },
);
for my $what (sort keys %others) {
    is growth(500, $others{$what}), $flat, "500 times $what";
}

done_testing;
