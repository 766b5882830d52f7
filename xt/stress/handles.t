# Random deeds of a child on its parent's handles: afterwards the parent finds, reads and writes what
# it does when the child is one of fork's.
#
#   prove -b xt/stress/handles.t                1,000 pairs of programs
#   STRESS=0.01 prove -b xt/stress/handles.t    10 of them
#   SEED=n prove -bv xt/stress/handles.t        pair n alone
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../../t/lib";

# ---- one program, in a process of its own ----

if (@ARGV && $ARGV[0] eq '--program') {
    shift;
    program(@ARGV);
    exit;
}

sub pick { return $_[ rand @_ ] }

# Prints what is seen of the handles after a child that has been at them.
sub program {
    my ($how, $seed, $dir) = @_;
    no warnings;
    open STDERR, '>', '/dev/null';    # perl says which handles it cannot close
    require IO::Handle;
    require Linux::Clone;
    require POSIX;
    require Socket;
    srand $seed;
    my @layers = ('', qw(:crlf :utf8 :encoding(UTF-8) :unix :stdio :encoding(UTF-16LE) :perlio:crlf:encoding(UTF-8) :raw:perlio :bytes));
    # what is read ahead by the C library, in :stdio, cannot be set aside
    my $for_input = sub { my $layer = pick(@layers); return $layer =~ /$_[0]/ ? '' : $layer };
    my $text = join '', map { "line $_\n" } 1 .. 2000;
    open my $file, '>', "$dir/in" or die "$dir/in: $!";
    print {$file} $text;
    close $file;
    my (@h, %kept);
    for my $i (0 .. 2) { open $h[$i], '>' . pick(@layers), "$dir/out$i" or die "$dir/out$i: $!"; print { $h[$i] } "start $i\n" }
    for my $i (3, 4) { open $h[$i], '<' . $for_input->('16|stdio'), "$dir/in" or die "$dir/in: $!"; readline $h[$i] for 1 .. rand 5 }
    for my $i (5, 6) {
        pipe $h[$i], my $write or die "pipe: $!";
        my $layer = $for_input->('16|stdio|unix');
        binmode $h[$i], $layer if $layer;
        syswrite $write, substr $text, 0, 4000;
        close $write;
        readline $h[$i] for 1 .. rand 5;
    }
    socketpair $h[7], $h[8], Socket::AF_UNIX(), Socket::SOCK_STREAM(), 0 or die "socketpair: $!";
    syswrite $h[8], "sock 1\nsock 2\nsock 3\n";
    shutdown $h[8], 1;
    readline $h[7];
    open $h[9], '-|', 'printf', '1\n2\n3\n4\n' or die "printf: $!";
    readline $h[9];
    open $h[10], '>&',  $h[0] or die $!;
    open $h[11], '>&=', $h[1] or die $!;
    open $h[12], '|-',  "cat >$dir/pipe" or die "cat: $!";
    print { $h[12] } "start\n";
    rand() < 0.3 ? open STDIN, '-|', 'printf', 'a\nb\nc\nd\n' : open STDIN, '<', "$dir/in" or die $!;
    readline STDIN;
    opendir my $names, '/proc/self/attr' or die $!;
    readdir $names for 1 .. 3;

    my @deeds;
    for (1 .. 1 + rand 7) {
        my ($i, $j, $layer) = (int rand 13, int rand 13, pick(@layers));
        push @deeds, pick(
            (sub { close $h[$i] }) x 2,
            sub { open $h[$i], '>', "$dir/child" },
            sub { open $h[$i], '<', '/dev/null' },
            sub { open $h[$i], '>&', $h[$j] },
            sub { open $h[$i], '-|', 'true' },
            sub { open $h[$i], '<', \"in memory\n"; readline $h[$i] },
            sub { open my $other, '<&=', fileno $h[$i]; close $other },
            sub { pipe $h[$i], $h[$j] },
            sub { opendir $h[$i], '/'; readdir $h[$i] },
            sub { close $_ for @h },
            sub { readline $h[$i] },
            sub { readline $h[$i] for 1 .. 20 },
            sub { $h[$i]->getline },
            sub { $h[$i]->ungetc(65) },
            sub { eof $h[$i] },
            sub { sysread $h[$i], my $bytes, 3 if "@{[ PerlIO::get_layers($h[$i]) ]}" !~ /utf8|enc|crlf/ },
            sub { print { $h[$i] } "child\n" },
            sub { $h[$i]->autoflush(1) },
            sub { binmode $h[$i], $layer },
            sub { binmode $h[$i], ':pop' if 1 < (() = PerlIO::get_layers($h[$i])) },
            sub { open STDIN, '<', '/dev/null' },
            sub { close STDIN; open $kept{in}, '<', '/etc/passwd' },
            sub { readline STDIN },
            sub { eof STDIN },
            sub { open STDOUT, '>', '/dev/null'; print 'child' },
            sub { local *STDOUT; open STDOUT, '>', "$dir/child"; print 'child' },
            sub { open $kept{$i}, '>', "$dir/child$i"; print { $kept{$i} } 'kept' },
            sub { readdir $names; closedir $names },
            sub { rewinddir $names; readdir $names },
            sub { select $h[$i] },
            sub { $. = 99 },
            sub { stat '/' },
            sub { -e $h[$i] },
        );
    }
    my $end = pick(sub { POSIX::_exit(0) }, sub { kill KILL => $$; sleep 9 });
    stat '/proc/self/status';
    my $child = sub { alarm 5; eval { $_->() } for @deeds; $end->() };
    my $pid = $how eq 'fork' ? fork : Linux::Clone::clone($child, 0, Linux::Clone::VM() | Linux::Clone::VFORK() | POSIX::SIGCHLD());
    $child->() if $how eq 'fork' && !$pid;
    waitpid $pid, 0;

    my @seen = ("status $?", "\$. $.", 'select ' . (select =~ /^main::STDOUT$/), '_ ' . -f _);
    push @seen, 'readdir ' . join ',', readdir $names;
    push @seen, 'layers ' . join '|', map { join ',', PerlIO::get_layers($_) } @h, *STDIN;
    push @seen, 'fileno ' . join ',', map { fileno $_ } @h, *STDIN, *STDOUT;
    push @seen, "print $_ " . print { $h[$_] } "parent $_\n" for 0 .. 2, 10 .. 12;
    for my $i (3 .. 7, 9) {
        my @lines = $i == 7 ? map { scalar readline $h[7] } 1, 2 : readline $h[$i];
        push @seen, "read $i: " . @lines . " from $lines[0] to $lines[-1] " . $h[$i]->input_line_number . " $.";
    }
    my @lines = <STDIN>;
    push @seen, 'STDIN: ' . @lines . " from $lines[0]";
    push @seen, "close $_ " . close($h[$_]) . " $?" for 0 .. 12;
    for my $name ('out0' .. 'out2', 'pipe') { open my $fh, '<', "$dir/$name" or die $!; local $/; push @seen, "$name: " . <$fh> }
    push @seen, 'descriptors ' . join ',', map { readlink "/proc/self/fd/$_" } sort { $a <=> $b } map { m{(\d+)$} } glob '/proc/self/fd/*';
    s{\Q$dir\E|:\[\d+\]|(?<=/proc/)\d+}{}g for @seen;
    print map { "$_\n" } @seen;
    return;
}

# ---- all of them ----

require File::Temp;
require POSIX;
require Test::More;
Test::More->import;

my $stress = $ENV{STRESS} // 1;
my ($first, $count) = (time % 1_000_000 * 1000, POSIX::ceil(1000 * $stress));
($first, $count) = ($ENV{SEED}, 1) if defined $ENV{SEED};
alarm 120 + 3000 * $stress;

# what is used after it was freed shows
$ENV{MALLOC_PERTURB_} = 85;
$ENV{GLIBC_TUNABLES} = 'glibc.malloc.tcache_count=0';
my @failed;
for my $seed ($first .. $first + $count - 1) {
    my @seen = map {
        my $dir = File::Temp->newdir('handles-XXXXXX', TMPDIR => 1);
        my @command = ($^X, (map { "-I$_" } @INC), $0, '--program', $_, $seed, "$dir");
        open my $fh, '-|', @command or die "$^X: $!";
        local $/;
        my $seen = <$fh>;
        close $fh;
        $seen;
    } qw(fork clone);
    next if $seen[0] ne '' && $seen[0] eq $seen[1];
    push @failed, $seed;
    my ($fork, $clone) = map { [ split /^/ ] } @seen;
    diag("pair $seed; again by: SEED=$seed prove -bv $0\n",
        map { my ($a, $b) = map { $_ // "nothing\n" } $fork->[$_], $clone->[$_]; $a eq $b ? () : "fork: $a", "clone: $b" } 0 .. ($#$fork > $#$clone ? $#$fork : $#$clone));
    last if @failed == 10;
}
diag("$count pairs, seeds $first to ", $first + $count - 1, ", user $>, perl $^V");
is("@failed", '', 'the parent finds its handles as after fork');
done_testing();
