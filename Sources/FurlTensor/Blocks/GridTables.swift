/// The vectors that the codes of GGUF's IQ1, IQ2 and IQ3 types stand for, as `make_grids.py` beside the tests' GGUF files writes
/// them: two characters each, a number in base 86 whose places in base 3 (vectors of 8) or 8 (vectors of 4) are the vector's.
///
/// Source: `ggml-common.h` of https://github.com/ggml-org/ggml.
enum GridTables {
  /// 2048 vectors of IQ1.
  static let iq1: StaticString = """
    (((*(,(.(0(2(5(:(<(@(B(G(M(O(Q(Y(_(a(e(g(l(q(s(w(y(}(~)-)/)1)3)4)9)?)C)E)I)K)O)Q)S)U)V)^)d)f)h)p)u)w){)}*+*0*2\
    *6*8*=*C*I*N*R*T*V*Z*]*_*b*e*g*i*m*o*z*|*~+/+5+;+A+E+I+J+Y+`+f+l+n+o+p+x+z+|,-,/,3,7,8,9,;,<,=,?,A,C,E,G,I,K,T\
    ,W,Y,[,^,`,a,b,d,r,v-+---3-5-7-9-<-=-A-C-I-O-Q-U-a-c-g-i-n-s-u-y-{.)./.3.;.@.B.F.H.M.R.T.X.Z.`.f.h.l.q.r.x/)/*\
    /-/3/5/9/E/G/I/K/Q/V/X/]/_/d/i/k/o/q/v/|0+0.0106080:0<0>0C0H0J0N0P0Z0[0^0b0g0h0n0p0v0z0|1)1+1,1/1;1=1?1D1G1M1O\
    1Q1S1U1W1Y1[1`1b1f1l1p1q1r1s1t1u1v1x1z1~2/27292?2A2Q2S2U2^2c2h2j2n2p2r2t2x2z3+3133353=3C3G3I3N3O3Q3R3U3Y3_3b3c\
    3d3f3h3j3k3l3n3r3t3v3|4)4+4.4/4142434547484;4?4A4E4G4I4J4K4M4O4Q4S4U4W4Y4[4]4^4c4d4e4f4g4i4j4l4n4o4p4r4t4v4w4x\
    4z4|4}4~5)5*5+5-5.5/5153595;5<5=5E5F5G5I5K5O5S5U5V5W5Y5[5^5a5b5c5d5g5i5j5l5m5n5t5w5z5|6-616=6A6I6O6Q6S6U6W6[6^\
    6`6a6b6d6f6h6n6t6v7)77797;7?7A7D7K7L7M7O7S7U7V7W7Y7Z7[7`7d7l7o7p7r7t7x7|7~80878>8@8G8I8K8M8O8Q8S8W8[8^8d8j8n8q\
    8{8}9*9,9196989:9<9>9C9I9O9R9U9Z9]9a9c9h9m9o9q9s9u9z:):+:/:5:<:=:A:G:I:K:M:O:P:Q:Y:_:d:f:l:r:w:y:{:~;,;.;2;4;9\
    ;?;C;E;K;Q;V;X;Z;^;c;e;i;k;p;x;z;|<+<3<4<5<7<;<=<?<A<G<O<U<W<[<_<b<n<t<z=)=+=/=1=5=7=8=;=?=A=C=M=O=R=S=U=W=Y=[\
    =^=`=f=k=m=r=x=~>->3>8>9>?>D>F>J>R>]>_>c>e>j>o>q>u>w>|?+?-?7?<?>?B?D?N?P?T?V?_?b?d?h?n?x?z?~@)@/@1@3@5@;@@@E@G\
    @L@M@R@T@X@Z@e@g@k@m@r@x@|@~A-A2A4A8A:A?ADAFAJALAQAWA[AdApAtAvAxAzA|A~B)B9B=B@BDBHBIBKBMBOBSBUBVBWBYB[B`BbBhBj\
    BlBnBpBqBrBtBuBzB|B~C)C+C-C1C3C5C:C;C<CGCMCOCQCYC`CjClCpCtCxD*D/D9D?DKDNDWD^D`DbDdDfDgDhDmDnDpDrDtDvDzD|D~E)E+\
    E0E1E7E:E;E=EAECEEEFEGEIEKEOESEUEWEXEYE[E^E_EaEbEcEdEeEhEjEkElEnErEsEtEvEzE|E}E~F)F*F/F1F3F5F8F;F@FAFCFEFGFIFM\
    FOFQFSFUFXFYFZF]F^F`FdFfFhFlFoFsFwFxF~G)G+G3G9G<G@GEGLGQGSGWGYG^G`GbGdGjGpGrGtGvG|H+H.H/H2H3H6H7H9H=H?HAHEHIHM\
    HOHPHQHRHSHUHWHYH[H]H`HfHhHlHnHoHpHtHvHxHzI3ICIEIGIMIOIQIUIYIhIrIxIzI{I|I~J+J-J1J3J5J9J;J?JAJEJGJHJIJKJQJSJ[J^\
    JdJfJiJjJnJpJvJxJyJzJ|J~K(K)K*K+K-K1K2K3K5K7K9K:K;K=K?K@KAKBKCKDKEKFKGKIKKKLKMKOKSKUK[K^K_K`KbKdKhKlKnKrKxKzK~\
    L)L+L3L5L9L;L=L>L?LALELGLPLULWLYL]L^LbLkLlLrLtLuLvLwLxL{L~M)M+M-M/M0M1M3M4M5M6M8M9M:M;M<M=M?M@MAMBMCMEMGMMMOMQ\
    MSMTMUMWMZM]M^MbMdMeMfMgMhMjMlMmMnMoMpMqMsMtMvMxMyMzM|M~N(N)N*N+N,N-N.N0N1N2N3N4N5N6N7N8N9N:N<N=N>N?N@NANCNENF\
    NINJNKNLNNNONPNQNRNUNWNXNYN[N^N_N`NaNcNdNeNhNjNkNmNnNpNqNrNsNtNuNvNwNzN}N~O(O)O*O+O,O-O.O/O0O1O2O3O5O7O8O;O?OA\
    OBOCODOEOGOJONOQOSOTOUOVO[O]O^O`ObOfOhOlOsOxOzO|O~P)P*P+P,P-P/P1P2P3P:P?PAPCPEPGPKPQPTPUPWP[P^P`PaPbPdPjPpPrPs\
    PtPvPxPyPzP{P|P}P~Q(Q)Q+Q-Q.Q/Q1Q4Q7Q:Q=Q?Q@QAQBQCQIQQQTQ[Q`QaQeQfQhQnQpQqQtQwQxQyQzQ~R)R+R-R/R6R9R;R<R=R?RARM\
    RURWRYR`RhRnRrRsRtRvRxRzR|R~S*S7S?SESGSISKSOSQSWSXS[S^SdSgSjSmSnSpSvSwSzS~T,T/T1T7T;T=TITMTOTZT[T`ThTiTjTmTzU)\
    U-U5UDUEUGUHUKUMUQUSUUUWUYU[U^U`UbUcUdUfUgUhUjUlUtUuUxUzU|U}U~V(V)V+V-V/V3V9V;V=V?VBVCVEVSVTVUVWVYVZV]V^V_VaVd\
    VfVgVhVjVqVsVtVvVyVzV|V}W)W+W,W-W2W7W=WBWGWHWIWKWOWQWSWUWWWXWYWZW]W^WbWdWgWiWkWoWsWuWvWwWyW|W~X*X9X;XAXGXQXSXW\
    XYX`XfXlXqXyX~Y)Y/Y3Y9Y;Y=Y?YAYBYEYFYGYKYMYNYOYQYSYWY[Y_Y`YeYjYpYrYsYvZ+Z/Z0Z=Z?ZCZEZIZKZMZQZRZUZ]ZdZgZiZoZsZu\
    ZyZ{[.[0[4[6[;[@[A[C[E[G[M[R[T[X[Z[`[e[g[k[m[r[x[z[|[~]-]3]5]9];]=]?]@]A]B]G]I]K]Q]T]Y][]^]d]i]k]o]q]v]{]}^*^,\
    ^7^9^=^C^H^J^N^P^U^Z^]^a^c^p^t_)_+_2_5_9_;_=_A_O_S_`_f_j_l_p_v_x_z_{_~`)`-`/`0`1`3`4`9`:`;`=`?`A`C`E`G`I`K`M`U\
    `d`h`j`p`v`x`|`}`~a+a.a/a1a5a8a=aCaJaNaTaVaZa]abagaiamaoaqataza|b)b/b2b4b6b:b<bAbFbHbLbNbSbTbYb[b^bfblbnbpbrbt\
    bvbxb|b~c)c3c=c?cEcJcLcPcRcWc]c_cccecjcpcrctd*d,d0d2d7d<d>dBdDdIdOdSdTdUd[dbdfdhdndpdrdzd{e)e/e1e3e5e;eAeCeEeG\
    eIeMeOeQeSeUeWeYe[e`eeefeheiejelepereze|f+f-f/f3f5f7f9f?fEfGfKfQfYf[f^f`fbfdfffnfpfvf~g)g4g7g9g;g?gCgEgMgQgYg[\
    g^g_g`gagbgdgegfghgpgrgxgygzg|h)h/h1h5h7h9h:h;h=h>h?hAhDhGhJhKhMhOhPhQhShUhVhWhXhYhZh[h]h^h`hbhchdhfhihlhnhrhs\
    hthuhvhxhyhzh|h~i)i+i-i/i5i9i<i>iCiEiKiMiNiQiRiTiUiWi^i`ieifijikinioipixizi|j+j5j7j=jCjGjKjMjOjPjSjWjXjbjhjljn\
    jtj|j~k)k+k-k/k1k3k4k5k7k9k=k?kAkCkEkGkIkJkKkMkQkSkTkWkYk[kbkdkfkjklkpkxl*l3l;l=l?lAlElGlKlWl^l`lalblolqlulwl|\
    m*m,m0m2m7m=m?mAmCmNmPmTmVm[mamcmgmimnmqmtmvmxmzm{n3n5n8n;n=n?nAnCnMnRnTnWnYngnknmnnnunyn}o(o-o3o7o9o?oDoFoJoL\
    oQoVoXo]o_opovo|o~p-p0p1p3p5p7p:p;p<p=pCp`pbpdpfphpjprptpxpzq)q+q,q-q/q5q9q;q=q>q?qAqEqGqIqYq`qdqgqiqlqtqvqyq|\
    q~r(r)r,r.r:r>rBrCrErHrJrLrPrRrVrXrcrerirkrvrxrzr|s0s2s6s8s=sBsDsHsJsOsWs[s_sbshspstsxszs~t)t4t9tFtHtLtNtXtZt_\
    tatltntpt}u(u,u.u3u8u:u>u@
    """
  /// 256 vectors of IQ2_XXS.
  static let iq2xxs: StaticString = """
    (((*(,(.(0(2(4(:(<(@(B(D(F(L(R(V(X(_(a(g(s({(}),)0)>)])i)u)w*2*V*q*s*y+,+.+4+6+:+F+P+R+X+e+k+m+q+},4,H,J,T,m,o\
    -*-H-Z-a-e-g-m-y-}.(...0.F._.w/X/c0R0T0Z0e0m1(141:1>1L1R1_1q1y2,2]2g3B3H3T3X3e3y4L4m585F64666<6N6k7.727w8N8{8}\
    9,9B9R9Z9]:8:@:q:s;m;o;u<0<><g=,=@>J>c>o?H@qANAPAVA]AaAcAiAoAwA{B.B0B6BHBZBwC(C,CDCLCeCmCwD>DDDPDuE.EDENF4G0G2\
    G8GJGNH*HTHXHcIDIeIwI}J*J0J2JVJ]JuK8KgLVMPMRMkN_O.OXOcOiP2PoQTRLRRReR}SDSmTNTmU:U>V>V@VoXHZsZuZ{[8[T[q[}]2]s^e\
    ^g^m^q_(_:__`(`J`a`ua0aVbRcTdHdNdZdae8eNewfZg6gJgThVj_k4lqm<mRmqneoorusN
    """
  /// 512 vectors of IQ2_XS.
  static let iq2xs: StaticString = """
    (((*(,(.(0(2(4(6(8(:(<(>(@(D(F(H(J(L(N(P(R(V(X(_(a(c(e(i(k(o(q({(})()*),).)0)2)4)6)8)>)@)B)D)H)J)P)V)Z)])c)u)w\
    )y){*(***0*:*<*B*F*T*]*q*s*u*w*y*{*}+(+,+.+4+6+8+:+>+@+B+F+P+R+X+k+m+o+q+u+w+},0,2,8,B,J,g,i,o,}-*-,-H-a-c-e-g\
    -i-k-m-s-w-}.(...4.@.R.Z.]._.e.w/</B/V/i/o0D0H0R0T0V0X0Z0]0_0a0e0g0m0o0q0s0w0y1(1012141:1L1N1P1R1V1X1_1i1k1q2,\
    282:2H2J2L2P2c2u3B3D3F3H3L3N3T3_3a3e3g3s3y4>4@4F4X585D5Z64666<6>6N6Z6o7.727a8N8y8{8}9(9*9,9.90969@9B9H9Z9m9w9y\
    :(:::@:P:q;.;P;i;m;o;u<.<0<g=,=6=V=c=s>X>]>c>e>o?.?B?P@4@@@X@eA4A8A:ANAPARATAVAXAZA]AaAcAiAkAmAoAqAsAuA{B(B.B0\
    B6BHBJBLBNBRBTBZBeBgBmC(C,C<CDCFCLCNC]C_D>D@DBDDDHDJDNDPDZD]DcDuE*E:E<EBENETF*F4F<FRFXG0G2G8GJGNGVG_H*H4HHHNH_\
    I(IwIyI{I}J*J,J2J8J<J>JDJVJsJuJ{K(K6K8KmL4LgLiLkLqL{M,M>MHMZMcMiNBNHNqO:OPOXOeOuO}PHPePoPqR2RJRLRRReRqRyS.SBSD\
    TTTcU*U:UHV>VPVTW*X,XaY<Y}ZHZPZsZuZwZyZ}[([.[6[8[:[@[R[T[k[m[o[q[s[w]2]<]B]i]{^H^J^Z^a^e^g^m^o^q_(_:_J___}`T`i\
    a8aTaZakb*b4b6bLbTc_d*d0d8dBdFdHdNdadoe(e@eTeqfefyg6g:gTgZgahJhqhsiHjLjukDl*lJlolqlulwm*m2man8n>nanengnko(oDoV\
    o{pLr0rDrXrcrerisBsHsNt.t0t_tau0u@
    """
  /// 1024 vectors of IQ2_S.
  static let iq2s: StaticString = """
    (((*(,(.(0(2(4(6(8(:(<(>(@(D(F(H(J(L(N(P(R(V(X(Z(](_(a(c(e(i(k(q(u(y({(})()*),).)0)2)6)8)>)@)B)D)H)J)L)N)P)T)V\
    )Z)])c)e)g)m)o)u)w)y){*(***0*8*:*<*>*@*B*F*T*X*]*a*i*q*s*u*w*y*{*}+(+,+.+0+2+4+6+8+:+<+>+@+B+D+F+H+J+P+R+T+V+X\
    +]+_+c+e+k+m+o+q+s+u+w+y+{+},*,,,0,2,4,6,8,:,<,>,B,D,J,L,N,P,T,V,],g,i,k,m,o,s-*-.-0-4-6-<-F-H-N-a-c-e-g-k-m-o\
    -q-s-w-{-}.(.*.,...0.2.4.8.:.@.D.L.Z.]._.e.g.i.k.o.w.{.}/*/,/2/</D/V/a/c/k/o/q/{0F0R0T0V0X0Z0]0_0a0e0g0i0m0o0q\
    0s0w0y0{0}1(1*1,1.1214161:1>1@1D1F1L1N1P1R1T1V1X1Z1]1_1a1c1e1i1k1m1o1q1s1u1w1{1}2,2.202226282H2J2N2P2T2Z2]2c2g\
    2m2o3(3*303B3D3F3H3L3N3P3R3T3X3Z3_3a3c3e3g3i3k3m3q3s3y3{3}4(4,4.444>4@4B4D4F4H4J4L4P4R4X4Z4]4_4c4e4k4u4w4}585<\
    5>5B5D5J5T5V5]5o626466686:6<6@6B6F6N6P6R6T6X6Z6a6k6m7.707274787:7@7J7L7R7c7y8,828D8R8{8}9(9*9.909294969:9>9@9B\
    9H9J9L9T9Z9c9g9u9w9y:(:*:,:2:::<:>:D:F:L:V:X:_:q:y;.;2;4;8;>;V;X;i;m;o;q;s;u;y;{<(<*<0<2<4<6<:<<<B<L<N<T<g<k<m\
    <q<s<y=,=.=4=B=F=c=e=k=}>6>]>a>g>i>y>{?*?D?V?X?Z?a@D@Z@gA,A8A:ANAPARATAVAXAZA]A_AaAcAeAiAkAmAoAqAsAuAwAyA{A}B(\
    B.B0B6B:B<B@BBBHBJBLBNBRBTBVBXBZB]B_BeBgBiBkBmBoBqBsBwByC(C*C,C.C2C4C:CDCFCLCNCPCRCXC_CcCeCiCkCqC{C}D>D@DBDDDF\
    DHDJDLDNDPDRDTDVDZD]D_DaDcDeDgDiDmDoDuDwDyD{E(E*E0E:E<E>E@EBEDEFEHELENETEVEXEZE_EaEgEoEqEsEyF4F6F8F:F>F@FFFPFR\
    FXFkG*G0G2G6G8G:G<G>GBGDGJGLGNGPGTGVG]GiGoH*H,H.H0H4H6H<HFHHHNHaHoH}I(I.I@IwIyI{I}J*J,J.J0J2J4J6J8J<J>J@JBJDJF\
    JHJJJNJPJVJXJZJ]JaJcJsJuJwJyJ{J}K(K*K.K0K6K8K:K<K@KBKHKRKTKZKmKqKsKwKyL(L2L4L:LJLLLiLkLmLoLqLsLuLwL{L}M,M.M0M2\
    M6M8M>MHMJMPMcMeMgMiMmMoMuN(N*N0NBN_NaNgNuNyOXOZO]O_OcOeOkOuOwO}P.P8PTPVP]PoQNQ_R2RFRJRLRNRRRTRVRXR]R_ReRiRkRo\
    RqRwS,S2SDSFSHSJSNSPSVSaScSiS{T4TBTHTZTiU2U:U>U@UDUFULUVUXU_UqV6V8V>VPVXViVwW0WsX,X.X4X]XqX}Y@Z>ZkZsZuZwZyZ}[(\
    [,[.[2[8[:[@[B[D[F[J[R[V[][_[o[q[u[w[y[{[}]*],]2]4]6]8]<]>]N]P]V]g]i]m]q]s]u^.^0^6^e^g^i^k^m^o^q^s^w_(_*_,_._2\
    _4_:_D_F_L___a_c_e_i_k_q_{_}`,`>`F`Z`]`c`s`uaTaXa_aaaqasaybHbPbRbkc*c_cucwd,d>dFdHdLdNdPdRdTdZdadcdedgdkdmdsd}\
    e(e.e@eDeJeLe]e_eeemf<f>fDfVg2g6g8g:g<g@gBgHgRgTgZgmg{h2h4h:hLhwh{i,iLi]j(j*j0j>jBjwjykDkHl]lolslwl{m,m2m4m6m<\
    mcmin.nDngnmnyn}o(oFoJoLo]oaocoio{pFpTpZpkq{rXrisDsst0tLtNtXtZt_u,u@
    """
  /// 256 vectors of IQ3_XXS.
  static let iq3xxs: StaticString = """
    (((*(,(1(3(7(8(:(A(J(d(f(j(l(q(s(z(~)*),)3)>)J)R)T)V)[)c)e)l)n)r)|*+*9*=*C*D*F*Q*u+1+E+J+U+b+d+h+n,*,:,n-.-B-F\
    -H-^-l-|-~.,...5.7.<.>.@.K.L.e.g.n.u.w/O/Q/V/X/`/g02080:0H0Q0_0o0z0~1J1s1w222E2Q3H3V3w3y4)4+404246494B4b4d4f4i\
    4k4r4y5=5A5B5J5L5S5Y5Z5]5j5k5x656<6@6m6q7;7I7b7v8)8D93959@9W9t9{9}:-:/:D:Q:V:]:_:m:v;*;,;G;I;N;[;q<*<9<K=2=A=T\
    =Z=a=m>1>P>c>x?I?_?s?~@5@7@C@GA>ARAbAcAsAyB3BQBqC?CJClCzD8E/E2E4EBEuF5FLFTFZFkG+GJGXGyH*HSHqH|I)ILITIlJeK:KHK{\
    L4L6LDLbM+MIMoN<NBO2OSOyPSP|Q3QfQhQjQkQ}R6RcRmS@S[SaSwT-T;TPTrU+UJULU_VL
    """
  /// 512 vectors of IQ3_S.
  static let iq3s: StaticString = """
    ((()(*(-(/(0(1(2(4(6(8(9(=(C(H(J(M(O(Q(S(X(Z(b(e(h(i(j(k(m(q(r(v(y(|)))+)/)6)C)G)L)R)S)W)Y)Z)^)a)d)h)k)o)u)x)z\
    )|)~*4*7*?*E*I*L*N*U*W*Z*a*e*g*t*v*z*}+1+5+7+:+@+F+I+O+_+i+k+w+y+},+,1,5,7,F,K,V,Y,[,j,{-3-:-<->-J-L-P-U-c-g-{\
    -|-}.(.,.-./.1.3.4.6.=.@.B.P.R.U._.e.f.h.k.m.q.v.}/)///6/8/F/L/N/X/[/^/_/c/i/o/r/|0(02090<0?0@0C0I0O0P0T0Y0k0q\
    0|0~1,1.1;1=1D1H1J1N1d1k1n1t1{1}252]2a2d2q2s37393>3@3G3S3W3i3o3w3x3z3|3~4(4*4,4.414347484:4A4C4E4H4J4W4X4[4^4a\
    4c4i4l4p4s4v4z4}5,535K5N5Q5[5^5c5j5l5v5z6-606466696=6F6H6M6O6V6]6k6v6|7.71787;7?7X7[7c7h7q7~8(838@8H8J8O8Y8v8z\
    979;9H9J9U9Z9u9|9~:):+:.:5:7:9:>:@:C:E:O:U:^:`:b:i:n:p:};6;@;D;F;P;V;a;c;o<1<8<<<A<C<G<H<Q<S<W<^<l<t<z=(=,=3=D\
    =J=N=[=c=e=p=u>(>2>?>R>f?/?1?>?@?K?o?s?y@(@,@/@2@9@@@P@Z@`@b@d@k@q@v@|A+A/ACAEAJAOASA^AcArAuA{B0B5B7B<B>BEBIBm\
    BoC*C5C6COC[C^ChD2DKD]DqE2E7EBEMESEmEsEwE}F4F8F;F>FJFPFUFWFYF_FfFoG8G>GGGQGVG]GjH*H/H0H?HLHQH^HdHjHmHyI,I8I]Ii\
    I|I~J_K(K*K8KpKrKtL)L+L@LPLaLhM.MDMVM]MhMmMsM{N0N5NDNzO1O@ONOQOkP(P=PXQ+Q-QcQgQjQsQuR*R,R8R>RNRURaRpRrS7S:S>SD\
    SGSNS`SyT:T=TKTbTfTlTqU2U]UmV6VMVu
    """
}
