# The examples do what they claim: each is run, and its output and exit status are checked.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use CloneTest;
use Linux::Clone ();

my $examples = "$FindBin::Bin/../examples";

# Runs an example: its output, both streams, so that a warning shows, and $?.
sub example { my ($name) = @_; return run_perl("$examples/$name") }

# The interfaces that a new network namespace has, among these, besides the fallback devices of
# tunnels: where those are compiled into the kernel, each namespace gets a set
# (net.core.fb_tunnels_only_for_init_net).
sub apart_from_tunnels {
    my ($names) = @_;
    my $tunnels = qr/^(?:tunl0|gre0|gretap0|erspan0|ip_vti0|sit0|ip6tnl0|ip6_vti0|ip6gre0)$/;
    return join ' ', grep { !/$tunnels/ } split / /, $names;
}

# Skips the rest of a SKIP block if a command fails in new namespaces. Whatever else goes wrong
# there is for the example to show.
sub needs_command {
    my ($flags, $tests, $command) = @_;
    my ($uid, $gid) = ($>, $) + 0);
    my $said = result(sub {
        write_maps($uid, $gid) if $flags & Linux::Clone::NEWUSER;
        my $output = `$command 2>&1`;
        return $? == 0 ? '' : "$command: $output";
    }, $flags);
    $said =~ s/\s+/ /g;
    skip "the kernel refuses $said", $tests if $said =~ m{^\Q$command\E: };
    return;
}

my %tests = (
    'fork-like.pl' => sub {
        my ($output, $status) = example('fork-like.pl');
        my ($child, $parent) = $output =~ /^child:  my pid is (\d+), my parent's is (\d+), and I count to 42$/m
            or diag $output;
        isnt $child, $parent, 'two processes';
        is $output, <<"TEXT", 'and what they say of each other';
child:  my pid is $child, my parent's is $parent, and I count to 42
parent: my pid is $parent, my child's was $child, and I still count to 1
parent: the child returned 77
TEXT
        is $status, 0, 'exit status 0';
    },

    'network-namespace.pl' => sub {
        SKIP: {
            needs(namespace_flags(Linux::Clone::NEWNET), 4);
            my ($output, $status) = example('network-namespace.pl');
            my $ours = join ' ', interfaces();
            my ($outside, $inside, $rest) = $output =~ /\Aparent: ([^\n]*)\nchild:  ([^\n]*)\n(.*)\z/s or diag $output;
            is $outside, $ours, 'the parent stays where it is';
            is apart_from_tunnels($inside // ''), 'lo', 'the child has lo alone';
            like $rest, qr/\Achild:  127\.0\.0\.1 cannot be reached: \w[^\n]*\nparent: the child returned 0\n\z/,
                'another lo than ours: it is down';
            is $status, 0, 'exit status 0';
        }
    },

    'mount-namespace.pl' => sub {
        SKIP: {
            my $flags = namespace_flags(Linux::Clone::NEWNS);
            needs($flags, 2);
            # In a chroot that is not a mount point, for one, this fails.
            needs_command($flags, 2, 'mount --make-rprivate /');
            my ($output, $status) = example('mount-namespace.pl');
            is $output, <<'TEXT', 'the mount is seen by the child only';
child:  the second directory has: letter.txt
parent: the second directory has: nothing
parent: the child returned 0
TEXT
            is $status, 0, 'exit status 0';
        }
    },

    'veth.pl' => sub {
        SKIP: {
            my $flags = namespace_flags(Linux::Clone::NEWNET);
            needs($flags, 3);
            local $ENV{PATH} = join ':', $ENV{PATH}, '/usr/sbin', '/sbin';
            skip 'the command ip, of the package iproute2, is not installed', 3
                if !grep { -x "$_/ip" } split /:/, $ENV{PATH};
            # The kernel may lack veth.
            needs_command($flags, 3, 'ip link add probe0 type veth peer name probe1');
            my $before = join ' ', interfaces();
            my ($output, $status) = example('veth.pl');
            $output =~ s/(a namespace with )([^\n]*)/$1 . apart_from_tunnels($2)/ge;
            is $output, <<'TEXT', 'TCP from end to end';
parent: 192.0.2.2 says: hello from a namespace with lo veth-child
child:  192.0.2.1 says: hello from a namespace with lo veth-parent
parent: the child returned 0
TEXT
            is $status, 0, 'exit status 0';
            is join(' ', interfaces()), $before, 'our own network is left alone';
        }
    },

    'demo.pl' => sub {
        my $flags = Linux::Clone::NEWUSER | Linux::Clone::NEWPID | Linux::Clone::NEWNET;
        SKIP: {
            needs($flags, 6);
            my ($output, $status) = example('demo.pl');
            my ($pid) = $output =~ /^  the child's pid +(\d+) +1$/m;
            cmp_ok $pid // 0, '>', 1, 'pid 1 in its PID namespace, another outside' or diag $output;
            like $output, qr/^  the child's uid +$> +0$/m, 'root in its user namespace, the caller outside';
            my ($inside) = $output =~ /^  interfaces +\S.*?  +(\S.*)$/m;
            is apart_from_tunnels($inside // ''), 'lo', 'lo in its network namespace';
            like $output, qr/^  The child returned 42, and its parent reads exit status 42\.$/m, 'its exit status';
            unlike $output, qr/^.{81}/m, 'fits a terminal';
            is $status, 0, 'exit status 0';
        }
        # Where the kernel refuses: a user namespace may forbid that there are others in it.
        SKIP: {
            needs($flags, 2);
            my ($uid, $gid) = ($>, $) + 0);
            my $seen = result(sub {
                write_maps($uid, $gid);
                open my $fh, '>', '/proc/sys/user/max_user_namespaces' or return "cannot forbid: $!";
                print {$fh} "0\n";
                close $fh or return "cannot forbid: $!";
                my ($output, $status) = example('demo.pl');
                return "$status $output";
            }, Linux::Clone::NEWUSER);
            skip $seen, 2 if $seen =~ /^cannot forbid/;
            my ($status, $output) = split / /, $seen, 2;
            like $output, qr/\AThe kernel refuses this user new namespaces: errno \d+ \(.+\)\.\n\z/, 'refused: it says so';
            cmp_ok $status, '>', 0, 'and its exit status';
        }
    },
);

opendir my $dir, $examples or die "$examples: $!";
is_deeply [ sort grep { /\.pl$/ } readdir $dir ], [ sort keys %tests ], 'each example has a test';

for my $name (sort keys %tests) {
    subtest $name => $tests{$name};
}

done_testing;
