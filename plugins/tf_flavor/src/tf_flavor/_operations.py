"""The operations that a graph of a stranger may hold: those that compute on tensors, variables and tables, each listed.

TensorFlow marks what has a state, which tells little: ReadFile, ImmutableConst (maps a file), MatchingFiles, PyFunc's
stateless twin and the Debug operations (send tensors to an address) all count as pure. What is not listed is refused:
files, sockets, Python callbacks, datasets, queues, printing, debugging, compiled XLA modules, custom operations.
"""

from __future__ import annotations

__all__ = ["ELEMENTWISE", "LOADING_OPERATIONS", "NEVER_FOLDED", "OPERATIONS", "SAVER_OPERATIONS"]

_GROUPS = {
    "elementwise": """
        Abs Acos Acosh Add AddN AddV2 AccumulateNV2 Angle ApproximateEqual Asin Asinh Atan Atan2 Atanh BesselI0
        BesselI0e BesselI1 BesselI1e BesselJ0 BesselJ1 BesselK0 BesselK0e BesselK1 BesselK1e BesselY0 BesselY1
        Betainc BitwiseAnd BitwiseOr BitwiseXor Bitcast Cast Ceil ClipByValue Complex ComplexAbs Conj Cos Cosh Cross
        Dawsn Digamma Div DivNoNan Elu Equal Erf Erfc Erfinv Exp Expint Expm1 Floor FloorDiv FloorMod FresnelCos
        FresnelSin Greater GreaterEqual Igamma Igammac Imag Inv Invert IsFinite IsInf IsNan LeakyRelu LeftShift Less
        LessEqual Lgamma Log Log1p LogicalAnd LogicalNot LogicalOr Maximum Minimum Mod Mul MulNoNan Ndtri Neg
        NextAfter NotEqual Polygamma PopulationCount Pow Real RealDiv Reciprocal Relu Relu6 RightShift Rint Round
        Rsqrt Select SelectV2 Selu Sigmoid Sign Sin Sinh Softplus Softsign Spence Sqrt Square SquaredDifference Sub
        Tan Tanh TruncateDiv TruncateMod Xdivy Xlog1py Xlogy Zeta
    """,
    "gradients": """
        AvgPool3DGrad AvgPoolGrad BiasAddGrad Conv2DBackpropFilter Conv2DBackpropInput Conv3DBackpropInputV2
        DepthwiseConv2dNativeBackpropInput EluGrad IgammaGradA InvGrad L2Loss LeakyReluGrad MaxPoolGrad
        MaxPoolGradV2 MirrorPadGrad ReciprocalGrad Relu6Grad ReluGrad RsqrtGrad SeluGrad SigmoidGrad SoftplusGrad
        SoftsignGrad SqrtGrad StridedSliceGrad TanhGrad
    """,
    "reductions": """
        All Any ArgMax ArgMin Bincount Bucketize Cumprod Cumsum CumulativeLogsumexp DenseBincount EuclideanNorm
        HistogramFixedWidth InTopK InTopKV2 Max Mean Min Prod SegmentMax SegmentMean SegmentMin SegmentProd
        SegmentSum SparseSegmentMean SparseSegmentSqrtN SparseSegmentSum Sum TopK TopKV2 NthElement
        UnsortedSegmentMax UnsortedSegmentMin UnsortedSegmentProd UnsortedSegmentSum
    """,
    "shapes": """
        BatchToSpace BatchToSpaceND BroadcastArgs BroadcastGradientArgs BroadcastTo Concat ConcatOffset ConcatV2
        ConjugateTranspose Const DepthToSpace Diag DiagPart DynamicPartition DynamicStitch EnsureShape ExpandDims
        ExtractImagePatches ExtractVolumePatches Fill Gather GatherNd GatherV2 Identity IdentityN InvertPermutation
        LinSpace ListDiff LowerBound MatrixBandPart MatrixDiag MatrixDiagPart MatrixDiagPartV2 MatrixDiagPartV3
        MatrixDiagV2 MatrixDiagV3 MatrixSetDiag MatrixSetDiagV2 MatrixSetDiagV3 MirrorPad NoOp OneHot OnesLike Pack
        Pad PadV2 ParallelDynamicStitch Placeholder PlaceholderWithDefault PreventGradient Range Rank Reshape
        Reverse ReverseSequence ReverseV2 Roll ScatterNd ScatterNdNonAliasingAdd Shape ShapeN Size Slice Snapshot
        SpaceToBatch SpaceToBatchND SpaceToDepth Split SplitV Squeeze StopGradient StridedSlice TensorScatterAdd
        TensorScatterMax TensorScatterMin TensorScatterSub TensorScatterUpdate TensorStridedSliceUpdate Tile
        Transpose Unique UniqueV2 UniqueWithCounts UniqueWithCountsV2 Unpack UnravelIndex UpperBound Where ZerosLike
    """,
    "linear algebra": """
        BandedTriangularSolve BatchMatMul BatchMatMulV2 BatchMatMulV3 Cholesky Einsum Eig FFT FFT2D FFT3D IFFT
        IFFT2D IFFT3D IRFFT IRFFT2D IRFFT3D LogMatrixDeterminant Lu MatMul MatrixDeterminant MatrixExponential
        MatrixInverse MatrixLogarithm MatrixSolve MatrixSolveLs MatrixSquareRoot MatrixTriangularSolve Qr RFFT
        RFFT2D RFFT3D SelfAdjointEigV2 SparseMatMul Svd TridiagonalMatMul TridiagonalSolve
    """,
    "networks": """
        AvgPool AvgPool3D BiasAdd BiasAddV1 Conv Conv2D Conv3D CTCBeamSearchDecoder CTCGreedyDecoder CTCLoss
        CTCLossV2 DataFormatDimMap DataFormatVecPermute DepthwiseConv2dNative Dequantize Dilation2D
        FakeQuantWithMinMaxArgs FakeQuantWithMinMaxVars FakeQuantWithMinMaxVarsPerChannel FusedBatchNorm
        FusedBatchNormV2 FusedBatchNormV3 LRN LogSoftmax MaxPool MaxPool3D MaxPoolV2 MaxPoolWithArgmax
        QuantizeAndDequantizeV2 QuantizeAndDequantizeV3 QuantizeAndDequantizeV4 QuantizeV2 Softmax
        SoftmaxCrossEntropyWithLogits SparseSoftmaxCrossEntropyWithLogits
    """,
    "images": """
        AdjustContrastv2 AdjustHue AdjustSaturation CropAndResize DecodeImage DecodeJpeg DecodePng
        DrawBoundingBoxesV2 HSVToRGB ImageProjectiveTransformV2 ImageProjectiveTransformV3 NonMaxSuppressionV2
        NonMaxSuppressionV3 NonMaxSuppressionV4 NonMaxSuppressionV5 CombinedNonMaxSuppression RGBToHSV ResizeArea
        ResizeBicubic ResizeBilinear ResizeNearestNeighbor ScaleAndTranslate
    """,
    "sound": "AudioSpectrogram Mfcc",
    "texts": """
        AsString DecodeBase64 DecodeRaw EncodeBase64 ReduceJoin RegexFullMatch RegexReplace StaticRegexFullMatch
        StaticRegexReplace StringFormat StringJoin StringLength StringLower StringNGrams StringSplit StringSplitV2
        StringStrip StringToHashBucket StringToHashBucketFast StringToHashBucketStrong StringToNumber StringUpper
        Substr UnicodeDecode UnicodeDecodeWithOffsets UnicodeEncode UnicodeScript UnicodeTranscode
        UnsortedSegmentJoin ParseExampleV2 ParseSingleExample
    """,
    "sparse and ragged": """
        RaggedBincount RaggedGather RaggedRange RaggedTensorFromVariant RaggedTensorToSparse RaggedTensorToTensor
        RaggedTensorToVariant SparseAdd SparseBincount SparseConcat SparseCross SparseCrossHashed SparseCrossV2
        SparseDenseCwiseAdd SparseDenseCwiseDiv SparseDenseCwiseMul SparseFillEmptyRows SparseReduceSum
        SparseReorder SparseReshape SparseSegmentMeanWithNumSegments SparseSegmentSqrtNWithNumSegments
        SparseSegmentSumWithNumSegments SparseSlice SparseSoftmax SparseSplit SparseTensorDenseAdd
        SparseTensorDenseMatMul SparseToDense DenseToDenseSetOperation
    """,
    "control": """
        Assert Case For If PartitionedCall StatefulPartitionedCall StatelessCase StatelessIf StatelessWhile While
        FakeParam
    """,
    "lists": """
        EmptyTensorList TensorListConcat TensorListConcatLists TensorListConcatV2 TensorListElementShape
        TensorListFromTensor TensorListGather TensorListGetItem TensorListLength TensorListPopBack
        TensorListPushBack TensorListReserve TensorListResize TensorListScatter TensorListScatterIntoExistingList
        TensorListScatterV2 TensorListSetItem TensorListSplit TensorListStack
    """,
    "random numbers": """
        Multinomial ParameterizedTruncatedNormal RandomGamma RandomPoissonV2 RandomShuffle RandomStandardNormal
        RandomUniform RandomUniformInt RngReadAndSkip RngSkip StatefulStandardNormalV2 StatefulTruncatedNormal
        StatefulUniform StatefulUniformFullInt StatefulUniformInt StatelessMultinomial
        StatelessParameterizedTruncatedNormal StatelessRandomBinomial StatelessRandomGammaV2 StatelessRandomGammaV3
        StatelessRandomGetAlg StatelessRandomGetKeyCounter StatelessRandomGetKeyCounterAlg StatelessRandomNormal
        StatelessRandomNormalV2 StatelessRandomPoisson StatelessRandomUniform StatelessRandomUniformFullInt
        StatelessRandomUniformFullIntV2 StatelessRandomUniformInt StatelessRandomUniformIntV2
        StatelessRandomUniformV2 StatelessShuffle StatelessTruncatedNormal StatelessTruncatedNormalV2
        TruncatedNormal
    """,
    "variables": """
        AssignAddVariableOp AssignSubVariableOp AssignVariableOp DestroyResourceOp DisableCopyOnRead ReadVariableOp
        ResourceGather ResourceGatherNd ResourceScatterAdd ResourceScatterNdUpdate ResourceScatterUpdate
        ResourceStridedSliceAssign VarHandleOp VarIsInitializedOp VariableShape
    """,
    "tables": """
        AnonymousHashTable AnonymousMutableHashTable HashTableV2 InitializeTableV2 LookupTableExportV2
        LookupTableFindV2 LookupTableImportV2 LookupTableInsertV2 LookupTableRemoveV2 LookupTableSizeV2
        MutableHashTableV2
    """,
}

OPERATIONS = frozenset(name for names in _GROUPS.values() for name in names.split())

# What makes an element of one element of each input; Bitcast makes up to sixteen.
ELEMENTWISE = frozenset(_GROUPS["elementwise"].split()) - {"Bitcast"}

# What TensorFlow never runs to infer shapes: what is given, calls, and what has a state.
NEVER_FOLDED = frozenset(
    ["Placeholder", "PlaceholderWithDefault"]
    + [name for group in ("control", "variables", "tables") for name in _GROUPS[group].split()]
) - {"FakeParam"}

# What TensorFlow writes into every SavedModel to read its variables back; allowed only where nothing else leads to it.
SAVER_OPERATIONS = frozenset("MergeV2Checkpoints RestoreV2 SaveV2 ShardedFilename".split())

# What makes, fills and restores tables while a SavedModel is loaded: none takes longer or makes more than it is given.
# Names are made with Add besides, which is judged by what it appends.
LOADING_OPERATIONS = frozenset(
    """
    AnonymousHashTable AnonymousMutableHashTable Cast Const DestroyResourceOp HashTableV2 Identity IdentityN
    InitializeTableV2 LookupTableExportV2 LookupTableImportV2 LookupTableSizeV2 MutableHashTableV2 NoOp
    PartitionedCall Placeholder StatefulPartitionedCall
    """.split()
)
